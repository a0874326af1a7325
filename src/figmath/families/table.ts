import { greyLine, headerFill, papers, patchSide, Raster } from '../raster.js';
import type { Rng } from '../rng.js';
import type { FigureItem, ProblemDraft, Reading } from '../types.js';
import { barLetters } from './bars.js';

export const rowLetters = ['P', 'Q', 'R', 'S', 'T', 'U'] as const;

const cellSide = 20; // pixels, two patches
const rowCount = 3;

/** One named value: a name cell and the value cell on its right. */
interface Entry {
  name: string;
  value: number;
}

/** Two blocks of rows side by side, a name and a value in each. */
function drawTable(entries: readonly Entry[], rng: Rng): { raster: Raster; items: FigureItem[] } {
  const raster = new Raster(rng.pick(papers));
  const jitter = { x: rng.int(-1, 1), y: rng.int(-1, 0) };
  const top = 5 + patchSide * rng.int(0, 1);
  const bottom = top + rowCount * cellSide;
  for (const block of [0, 1]) {
    raster.fill(
      { x: 2 * block * cellSide, y: top, width: cellSide, height: rowCount * cellSide },
      headerFill,
    );
  }
  for (let i = 0; i <= rowCount; i++) {
    raster.fill({ x: 0, y: top + i * cellSide, width: 80, height: 1 }, greyLine);
  }
  for (let i = 0; i <= 3; i++) {
    raster.fill({ x: i * cellSide, y: top, width: 1, height: bottom - top }, greyLine);
  }
  const items = entries.map((entry, i): FigureItem => {
    const [block, row] = [Math.floor(i / rowCount), i % rowCount];
    // Texts stand in the patch row in the middle of their cell.
    const patchRow = (top + 5) / patchSide + 2 * row;
    const nameLeft = 2 * block * cellSide + 11 + jitter.x;
    raster.text(entry.name, nameLeft, patchRow * patchSide + 2 + jitter.y);
    const box = raster.number(entry.value, 4 * block + 2, patchRow, jitter);
    return { owner: entry.name, value: entry.value, boxes: [box] };
  });
  return { raster, items };
}

type Asked = Pick<ProblemDraft, 'kind' | 'question' | 'readings' | 'calculations' | 'answer'>;

const read = ({ name, value }: Entry): Reading => ({ name, value });
const sumOf = (entries: readonly Entry[]): number =>
  entries.reduce((sum, entry) => sum + entry.value, 0);

function pairAgainstPair(entries: readonly Entry[], rng: Rng): Asked {
  const [a, b, c, d] = rng.shuffle(entries) as [Entry, Entry, Entry, Entry];
  const [more, less] =
    a.value + b.value >= c.value + d.value
      ? ([
          [a, b],
          [c, d],
        ] as const)
      : ([
          [c, d],
          [a, b],
        ] as const);
  const [high, low] = [sumOf(more), sumOf(less)];
  const add = ([x, y]: readonly [Entry, Entry]) => ({
    stage: 0,
    parts: [{ operator: '+' as const, left: x.value, right: y.value }],
    intros: [`Sum of ${x.name} and ${y.name}:`],
  });
  return {
    kind: 'pairs',
    question: rng.pick([
      `How much larger is ${more[0].name} plus ${more[1].name} than ${less[0].name} plus ${less[1].name}?`,
      `Add ${more[0].name} and ${more[1].name}, take away ${less[0].name} and ${less[1].name}. What is left?`,
    ]),
    readings: [
      ...more.map((entry) => ({ ...read(entry), group: 'more' })),
      ...less.map((entry) => ({ ...read(entry), group: 'less' })),
    ],
    calculations: [
      add(more),
      add(less),
      { stage: 1, parts: [{ operator: '-', left: high, right: low }], intros: ['Difference:'] },
    ],
    answer: high - low,
  };
}

function threeTimes(entries: readonly Entry[], rng: Rng): Asked {
  const [a, b, c] = rng.shuffle(entries) as [Entry, Entry, Entry];
  const price = rng.int(2, 5);
  const sum = sumOf([a, b, c]);
  return {
    kind: 'price',
    question: rng.pick([
      `Each item costs ${price} coins. What do all items of ${a.name}, ${b.name} and ${c.name} cost?`,
      `Add ${a.name}, ${b.name} and ${c.name} and multiply by ${price}. What do you get?`,
    ]),
    readings: [a, b, c].map(read),
    calculations: [
      {
        stage: 0,
        parts: [
          { operator: '+', left: a.value, right: b.value },
          { operator: '+', left: a.value + b.value, right: c.value },
        ],
        intros: ['Together:'],
      },
      { stage: 1, parts: [{ operator: '*', left: sum, right: price }], intros: ['Cost:'] },
    ],
    answer: sum * price,
  };
}

function differenceTimes(entries: readonly Entry[], rng: Rng): Asked {
  let [x, y] = rng.shuffle(entries) as [Entry, Entry];
  if (x.value < y.value) [x, y] = [y, x];
  const factor = rng.int(2, 6);
  const difference = x.value - y.value;
  return {
    kind: 'difference',
    question: rng.pick([
      `Take ${y.name} from ${x.name} and multiply by ${factor}. What do you get?`,
      `What is ${factor} times the difference between ${x.name} and ${y.name}?`,
    ]),
    readings: [x, y].map(read),
    calculations: [
      {
        stage: 0,
        parts: [{ operator: '-', left: x.value, right: y.value }],
        intros: ['Difference:'],
      },
      { stage: 1, parts: [{ operator: '*', left: difference, right: factor }] },
    ],
    answer: difference * factor,
  };
}

export function draftTable(figureRng: Rng, questionRng: Rng): ProblemDraft {
  const names = figureRng.shuffle([...barLetters, ...rowLetters]).slice(0, 2 * rowCount);
  const entries = names.sort().map((name): Entry => ({ name, value: figureRng.int(2, 50) }));
  const picture = drawTable(entries, figureRng);
  const ask = questionRng.pick([pairAgainstPair, threeTimes, differenceTimes]);
  return {
    family: 'table',
    figureContent: `table/${entries.map((entry) => entry.name + entry.value).join(',')}`,
    figureName: 'table',
    ...ask(entries, questionRng),
    ...picture,
  };
}
