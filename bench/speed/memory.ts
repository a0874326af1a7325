import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { label } from '../../src/cli/label.js';
import { parseLabelOptions } from '../../src/cli/label-options.js';
import { benchFacts } from '../facts.js';

/** Memory against the number of finished problems: the whole of `steptree label`, answer checks
 *  included, on the simulated policy. Resident memory is read at every tenth of the problems
 *  finished, after a collection where --expose-gc allows it. Expectation: flat from the first tenth
 *  on, since a finished tree leaves memory for its file and problems are read as they are needed.
 *
 *  `node --expose-gc dist/bench/speed/memory.js [--problems 2000] [--rollouts 200]` */

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      problems: { type: 'string', default: '2000' },
      rollouts: { type: 'string', default: '200' },
    },
  });
  const problems = Number(values.problems);
  const every = Math.max(1, Math.floor(problems / 10));
  const rolloutBudget = Number(values.rollouts);
  const dir = await mkdtemp(join(tmpdir(), 'steptree-memory-'));
  try {
    const file = join(dir, 'problems.jsonl');
    const rows = Array.from({ length: problems }, (_, i) =>
      JSON.stringify({ id: `p${i}`, question: `What is ${i} + ${i}?`, answer: String(2 * i) }),
    );
    await writeFile(file, `${rows.join('\n')}\n`);
    const points: { finished: number; rssMb: number; anonMb: number; heapMb: number }[] = [];
    let finished = 0;
    await label(file, join(dir, 'run'), parseLabelOptions({ policy: 'simulated', rolloutBudget }), {
      signal: new AbortController().signal,
      quiet: true,
      log: () => {},
      onTree: () => {
        finished++;
        if (finished % every === 0) points.push({ finished, ...memoryNow() });
      },
    });
    for (const { finished: at, rssMb, anonMb, heapMb } of points) {
      process.stdout.write(
        `${String(at).padStart(5)} problems: ${rssMb} MB resident, ${anonMb} MB without mapped files, heap ${heapMb} MB\n`,
      );
    }
    process.stdout.write(`${JSON.stringify({ bench: 'memory', ...benchFacts(), points })}\n`);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function memoryNow(): { rssMb: number; anonMb: number; heapMb: number } {
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  return { rssMb: megabytes(rss), anonMb: anonymousMb(), heapMb: megabytes(heapUsed) };
}

/** Resident memory without the pages of mapped files, which the system may take back (the store's
 *  map among them); 0 where the system doesn't tell. */
function anonymousMb(): number {
  try {
    const kilobytes = /RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return megabytes(Number(kilobytes ?? 0) * 1024);
  } catch {
    return 0;
  }
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

await main();
