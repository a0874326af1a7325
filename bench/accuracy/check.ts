/** How often does the answer check agree with Math-Verify's public cases, and how fast is it?
 *
 *  `STEPTREE_FIXTURES=../shared/fixtures node dist/bench/accuracy/check.js [--pairs 20000] [--rounds 5]
 *  [--seed 1]`
 *
 *  Speed: pairs of ordinary answers (integers, decimals, fractions, percentages, units, letters, words,
 *  short lists), no two alike, half of them equal, in one process. A pair's floor is reading two short
 *  texts, a few microseconds. User CPU time of this process, so that other work on the machine counts
 *  little; a busy machine still slows it through its caches. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createRandom } from '../../search/rng.js';
import { checkCase } from '../../src/verify/check-case.js';
import { readCheckLines } from '../../src/verify/check-lines.js';
import { createComparer } from '../../src/verify/comparer.js';
import { compareAnswers } from '../../src/verify/equivalence.js';
import { benchFacts } from '../facts.js';

interface Pair {
  readonly gold: string;
  readonly predicted: string;
  readonly isEqual: boolean;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      pairs: { type: 'string', default: '20000' },
      rounds: { type: 'string', default: '5' },
      seed: { type: 'string', default: '1' },
    },
  });
  const file = join(
    process.env.STEPTREE_FIXTURES ?? '../shared/fixtures',
    'math-verify/cases.jsonl',
  );
  const accuracy = existsSync(file) ? await agreement(file) : null;
  if (!accuracy) process.stderr.write(`no ${file}: only the speed is measured\n`);
  const pairs = ordinaryPairs(Number(values.pairs), `check-${values.seed}`);
  const speed = measureSpeed(pairs, Number(values.rounds));
  process.stdout.write(
    `${JSON.stringify({ bench: 'check', accuracy, speed, facts: benchFacts() })}\n`,
  );
}

async function agreement(file: string) {
  const comparer = createComparer();
  const counts = { cases: 0, right: 0, falsePositives: 0, falseNegatives: 0, ungraded: 0 };
  try {
    for await (const item of readCheckLines(file)) {
      if ('rejected' in item) throw new Error(item.rejected.message);
      const { verdict } = await checkCase(comparer, item.check);
      counts.cases++;
      if (verdict === item.expected) counts.right++;
      else {
        process.stderr.write(`line ${item.line}: ${verdict}, expected ${item.expected}\n`);
        if (verdict === 'equal') counts.falsePositives++;
        else if (verdict === 'different') counts.falseNegatives++;
        else counts.ungraded++;
      }
    }
  } finally {
    await comparer.close();
  }
  const rightPercent = Math.round((1e4 * counts.right) / counts.cases) / 100;
  process.stdout.write(
    `${counts.right} of ${counts.cases} as expected (${rightPercent} %), ${counts.falsePositives} false positives\n`,
  );
  return { ...counts, rightPercent };
}

function measureSpeed(pairs: readonly Pair[], rounds: number) {
  const perSecond: number[] = [];
  let wrong = 0;
  for (let round = 0; round < rounds; round++) {
    const start = process.cpuUsage();
    wrong = 0;
    for (const { gold, predicted, isEqual } of pairs) {
      const { verdict } = compareAnswers({ answer: gold }, predicted);
      if ((verdict === 'equal') !== isEqual || verdict === 'ungraded') wrong++;
    }
    perSecond.push(pairs.length / (process.cpuUsage(start).user / 1e6));
  }
  perSecond.sort((a, b) => a - b);
  const [slowest = 0] = perSecond;
  const median = perSecond[Math.floor(perSecond.length / 2)] ?? 0;
  const fastest = perSecond.at(-1) ?? 0;
  process.stdout.write(
    `${pairs.length} ordinary pairs: ${Math.round(median)} pairs per CPU second (${Math.round(slowest)}-${Math.round(fastest)}), ${wrong} wrong\n`,
  );
  return { pairs: pairs.length, pairsPerCpuSecond: { median, slowest, fastest }, wrong };
}

const words = ['parallel', 'Monday', 'the red bar', 'increase', 'isosceles', 'no change'];

/** Each kind writes one value in two ways, or two different values. */
function ordinaryPairs(count: number, seed: string): Pair[] {
  const random = createRandom(seed);
  const integer = (limit: number) => 2 + Math.floor(random() * limit);
  const kinds: readonly ((isEqual: boolean) => readonly [string, string])[] = [
    (same) => {
      const n = integer(1e6);
      return [String(n), (same ? n : n + 1).toLocaleString('en-US')];
    },
    (same) => {
      const n = integer(1e5);
      return [(n / 100).toFixed(2), `$${((same ? n : n + 7) / 100).toFixed(3)}$`];
    },
    (same) => {
      const [a, b] = [integer(99), integer(99)];
      return [`\\frac{${a}}{${b}}`, `${3 * a}/${same ? 3 * b : 3 * b + 1}`];
    },
    (same) => {
      const n = integer(97);
      return [`${n}\\%`, `${same ? n : n + 1} percent`];
    },
    (same) => {
      const n = integer(999);
      return [`${n}`, `${same ? n : n + 2} \\text{ cm}`];
    },
    (same) => {
      const n = integer(24);
      const letter = String.fromCharCode(65 + n);
      return [letter, `(${same ? letter : String.fromCharCode(64 + n)})`];
    },
    (same) => {
      const n = integer(words.length - 2);
      return [`${words[n]} ${integer(9)}`, ''].map((text, index, all) =>
        index === 0 ? text : same ? (all[0]?.toUpperCase() ?? '') : (words[n - 1] ?? ''),
      ) as [string, string];
    },
    (same) => {
      const [a, b] = [integer(99), integer(99) + 100];
      return [`${a}, ${b}`, `\\{${same ? b : b + 1}, ${a}\\}`];
    },
    (same) => {
      const n = integer(99);
      return [`x = ${n}`, `${same ? n : n + 1}.0`];
    },
    (same) => {
      const n = integer(40);
      return [`${n}\\sqrt{2}`, `\\sqrt{${2 * n * n + (same ? 0 : 1)}}`];
    },
  ];
  return Array.from({ length: count }, (_, index) => {
    const isEqual = random() < 0.5;
    const [gold, predicted] = kinds[index % kinds.length]?.(isEqual) ?? ['', ''];
    return { gold, predicted, isEqual };
  });
}

await main();
