/** Raw training data: no PNGs, one byte per pixel, so that hundreds of thousands of problems are quick.
 *  Writes OUT/pixels.u8 [count, 80, 80] palette indices, OUT/labels.u8 [count, 4, 64] patch labels
 *  (owner, subOwner, tens, ones; 255 = no loss), OUT/problems.jsonl and OUT/meta.json.
 *  Usage: node dist/src/figmath/export-training.js --split train --count N --seed S --questions Q --out DIR */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { ignoredLabel, ownerNames, patchCount, subOwnerNames } from './patches.js';
import { generateProblem } from './problem.js';
import { figureSide, palette, patchSide } from './raster.js';
import { stepSeparator } from './solution.js';
import { figmathSplits } from './types.js';

export const exportOptions = z.strictObject({
  split: z.enum(figmathSplits).default('train').describe('which split'),
  count: z.coerce.number().int().min(1).default(1000).describe('number of problems'),
  seed: z.coerce.number().int().min(0).default(1).describe('seed of the problems'),
  questions: z.coerce.number().int().min(1).default(1).describe('questions per figure'),
  out: z.string().min(1).describe('folder to write into'),
});

export function exportTraining(options: z.infer<typeof exportOptions>): void {
  mkdirSync(options.out, { recursive: true });
  const open = (name: string) => openSync(join(options.out, name), 'w');
  const files = {
    pixels: open('pixels.u8'),
    labels: open('labels.u8'),
    problems: open('problems.jsonl'),
  };
  for (let index = 0; index < options.count; index++) {
    const problem = generateProblem(options.split, options.seed, index);
    const { owner, subOwner, tens, ones } = problem.patchLabels;
    writeSync(files.pixels, problem.image.pixels);
    writeSync(files.labels, Buffer.concat([owner, subOwner, tens, ones]));
    const asked = Array.from({ length: options.questions }, (_, question) => {
      const each = generateProblem(options.split, options.seed, index, question);
      const { kind, answer, readings } = each;
      const solution = each.solution(0).join(stepSeparator);
      return { kind, question: each.question, answer, readings, solution };
    });
    const { id, family } = problem;
    writeSync(files.problems, `${JSON.stringify({ id, family, asked })}\n`);
  }
  for (const file of Object.values(files)) closeSync(file);
  const meta = {
    ...options,
    figureSide,
    patchSide,
    patchCount,
    palette,
    ownerNames,
    subOwnerNames,
    ignoredLabel,
  };
  writeFileSync(join(options.out, 'meta.json'), JSON.stringify(meta));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: Object.fromEntries(
      ['split', 'count', 'seed', 'questions', 'out'].map((name) => [
        name,
        { type: 'string' as const },
      ]),
    ),
  });
  exportTraining(exportOptions.parse(values));
}
