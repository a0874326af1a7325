import { barColours, greyLine, papers, patchSide, Raster } from '../raster.js';
import type { Rng } from '../rng.js';
import type { Calculation, FigureItem, ProblemDraft, Reading } from '../types.js';

export const barLetters = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H'] as const;

interface Bar {
  name: string;
  value: number;
}

const largestValue = 50;
const tallestBar = 58; // pixels, at the largest value
const slotPatches = 2;
const baseline = 70;

function drawBars(bars: readonly Bar[], rng: Rng): { raster: Raster; items: FigureItem[] } {
  const raster = new Raster(rng.pick(papers));
  const barWidth = rng.int(11, 15);
  const jitter = { x: rng.int(-1, 1), y: rng.int(-1, 0) };
  const colours = rng.shuffle(barColours);
  raster.fill({ x: 1, y: baseline, width: 78, height: 1 }, greyLine);
  const items = bars.map((bar, i): FigureItem => {
    const center = i * slotPatches * patchSide + 10 + jitter.x;
    const height = Math.round((bar.value * tallestBar) / largestValue);
    const top = baseline - height;
    const box = { x: center - Math.floor(barWidth / 2), y: top, width: barWidth, height };
    raster.fill(box, colours[i] as number);
    raster.text(bar.name, center, baseline + 3 + jitter.y);
    // The lowest patch row that lies wholly above the bar.
    const row = Math.floor(top / patchSide) - 1;
    return {
      owner: bar.name,
      value: bar.value,
      boxes: [raster.number(bar.value, i * slotPatches, row, jitter)],
    };
  });
  return { raster, items };
}

type Asked = Pick<ProblemDraft, 'kind' | 'question' | 'readings' | 'calculations' | 'answer'>;

const read = (bar: Bar): Reading => ({ name: bar.name, value: bar.value });

function pairAgainstOne(bars: readonly Bar[], rng: Rng): Asked {
  // Every three bars have such an order: the two largest together exceed the smallest.
  let [x, y, z] = rng.shuffle(bars) as [Bar, Bar, Bar];
  if (x.value + y.value <= z.value) [x, z] = [z, x];
  const sum = x.value + y.value;
  return {
    kind: 'pair',
    question: rng.pick([
      `How many more do ${x.name} and ${y.name} have together than ${z.name}?`,
      `By how much is the sum of ${x.name} and ${y.name} larger than ${z.name}?`,
      `Add bars ${x.name} and ${y.name}, then take away ${z.name}. What is left?`,
    ]),
    readings: [x, y, z].map(read),
    calculations: [
      {
        stage: 0,
        parts: [{ operator: '+', left: x.value, right: y.value }],
        intros: ['Together:'],
      },
      { stage: 1, parts: [{ operator: '-', left: sum, right: z.value }], intros: ['Difference:'] },
    ],
    answer: sum - z.value,
  };
}

function priceOfPair(bars: readonly Bar[], rng: Rng): Asked {
  const [x, y] = rng.shuffle(bars) as [Bar, Bar];
  const price = rng.int(2, 5);
  const sum = x.value + y.value;
  return {
    kind: 'price',
    question: rng.pick([
      `Each item costs ${price} coins. What do all items of ${x.name} and ${y.name} cost?`,
      `One item brings ${price} coins. How many coins do ${x.name} and ${y.name} bring together?`,
      `Add bars ${x.name} and ${y.name} and multiply by ${price}. What do you get?`,
    ]),
    readings: [x, y].map(read),
    calculations: [
      {
        stage: 0,
        parts: [{ operator: '+', left: x.value, right: y.value }],
        intros: ['Together:'],
      },
      { stage: 1, parts: [{ operator: '*', left: sum, right: price }], intros: ['Cost:'] },
    ],
    answer: sum * price,
  };
}

function rangeTimes(bars: readonly Bar[], rng: Rng): Asked {
  const sorted = [...bars].sort((a, b) => a.value - b.value);
  const low = sorted[0] as Bar;
  const high = sorted[sorted.length - 1] as Bar;
  const factor = rng.int(2, 5);
  const range = high.value - low.value;
  return {
    kind: 'range',
    question: rng.pick([
      `What is ${factor} times the difference between the largest and the smallest bar?`,
      `Take the smallest bar from the largest and multiply by ${factor}. What do you get?`,
    ]),
    readings: bars.map(read),
    calculations: [
      {
        stage: 0,
        parts: [
          {
            operator: 'remark',
            text: `Largest ${high.name}=${high.value}, smallest ${low.name}=${low.value}`,
          },
        ],
      },
      {
        stage: 1,
        parts: [{ operator: '-', left: high.value, right: low.value }],
        intros: ['Difference:'],
      },
      { stage: 2, parts: [{ operator: '*', left: range, right: factor }] },
    ],
    answer: range * factor,
  };
}

function total(bars: readonly Bar[], rng: Rng): Asked {
  const calculations: Calculation[] = [];
  let sum = (bars[0] as Bar).value;
  bars.slice(1).forEach((bar, i) => {
    calculations.push({ stage: i, parts: [{ operator: '+', left: sum, right: bar.value }] });
    sum += bar.value;
  });
  return {
    kind: 'total',
    question: rng.pick([
      'What is the sum of all bars?',
      'How many items are there in all bars together?',
      'Add up all the bars. What is the total?',
    ]),
    readings: bars.map(read),
    calculations,
    answer: sum,
  };
}

export function draftBars(figureRng: Rng, questionRng: Rng): ProblemDraft {
  const names = figureRng.shuffle(barLetters).slice(0, 4).sort();
  const values = new Set<number>();
  while (values.size < names.length) values.add(figureRng.int(10, largestValue));
  const drawn = [...values];
  const bars = names.map((name, i): Bar => ({ name, value: drawn[i] as number }));
  const picture = drawBars(bars, figureRng);
  const questions = [pairAgainstOne, priceOfPair, rangeTimes, total];
  return {
    family: 'bars',
    figureContent: `bars/${bars.map((bar) => bar.name + bar.value).join(',')}`,
    figureName: 'chart',
    ...questionRng.pick(questions)(bars, questionRng),
    ...picture,
  };
}
