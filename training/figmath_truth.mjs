/** Writes what the generator knows about problems, to MEASURE step scores with; training never sees it.
 *
 *  npm run build && node training/figmath_truth.mjs --split test --seed 11 --count 640 --out FILE
 *
 *  Per line {"id", "family", "kind", "answer", "readings": {name: value}, "calculations": ["3+4=7", …],
 *  "remarks": […]}; calculations and remarks are those of many wordings of the right solution. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { generateProblem } from '../dist/src/figmath/problem.js';

const { values } = parseArgs({
  options: {
    split: { type: 'string', default: 'test' },
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '100' },
    out: { type: 'string' },
  },
});

function truthOf(index) {
  const problem = generateProblem(values.split, Number(values.seed), index);
  const texts = Array.from({ length: 40 }, (_, variant) => problem.solution(variant).join('\n'));
  const calculations = new Set(texts.flatMap((text) => text.match(/\d+[-+*]\d+=\d+/g) ?? []));
  const remarks = new Set(texts.flatMap((text) => text.match(/Largest[^.]*/g) ?? []));
  const { id, family, kind, answer } = problem;
  const readings = Object.fromEntries(problem.readings.map(({ name, value }) => [name, value]));
  return {
    id,
    family,
    kind,
    answer,
    readings,
    calculations: [...calculations],
    remarks: [...remarks],
  };
}

const rows = Array.from({ length: Number(values.count) }, (_, index) => truthOf(index));
writeFileSync(values.out, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
