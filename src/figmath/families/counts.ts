import { papers, patchSide, Raster } from '../raster.js';
import type { Rng } from '../rng.js';
import type { FigureItem, ProblemDraft, Reading } from '../types.js';

export const countColours = ['red', 'blue', 'green', 'orange', 'purple'] as const;
export const countShapes = ['circle', 'square', 'triangle'] as const;

const paletteIndex: Readonly<Record<(typeof countColours)[number], number>> = {
  red: 6,
  blue: 7,
  green: 8,
  orange: 9,
  purple: 10,
};

/** All objects of one colour and shape. */
interface Kind {
  colour: (typeof countColours)[number];
  shape: (typeof countShapes)[number];
  /** What tells it from the other kinds in the figure, and so names it. */
  named: 'colour' | 'shape';
  count: number;
}

const gridSide = 8;
const cellSide = patchSide;
const objectSide = 9; // pixels

function drawObject(raster: Raster, kind: Kind, x: number, y: number): void {
  const colour = paletteIndex[kind.colour];
  // Squares are a pixel smaller, so that neighbours never touch.
  if (kind.shape === 'square') raster.fill({ x, y, width: 8, height: 8 }, colour);
  else if (kind.shape === 'circle') raster.disc(x, y, objectSide, colour);
  else
    raster.triangle(x, x + objectSide - 1, y + objectSide - 1, x + (objectSide - 1) / 2, y, colour);
}

function drawCounts(kinds: readonly Kind[], rng: Rng): { raster: Raster; items: FigureItem[] } {
  const raster = new Raster(rng.pick(papers));
  const cells = rng.shuffle(Array.from({ length: gridSide * gridSide }, (_, i) => i));
  const items = kinds.map((kind): FigureItem => {
    const boxes = Array.from({ length: kind.count }, () => {
      const cell = cells.pop() as number;
      const x = (cell % gridSide) * cellSide + rng.int(0, cellSide - objectSide);
      const y = Math.floor(cell / gridSide) * cellSide + rng.int(0, cellSide - objectSide);
      drawObject(raster, kind, x, y);
      return { x, y, width: objectSide, height: objectSide };
    });
    return { owner: kind.colour, subOwner: kind.shape, value: kind.count, boxes };
  });
  return { raster, items };
}

type Asked = Pick<ProblemDraft, 'kind' | 'question' | 'readings' | 'calculations' | 'answer'>;

const nameOf = (kind: Kind): string => `${kind.colour} ${kind.shape}`;
const read = (kind: Kind): Reading => ({
  name: kind.named === 'colour' ? kind.colour : `${kind.shape}s`,
  value: kind.count,
});

function points(kinds: readonly Kind[], rng: Rng): Asked {
  const [x, y] = rng.shuffle(kinds) as [Kind, Kind];
  const [pointsX, pointsY] = rng.shuffle([2, 3, 4, 5, 6]) as [number, number];
  const [totalX, totalY] = [x.count * pointsX, y.count * pointsY];
  return {
    kind: 'points',
    question: rng.pick([
      `A ${nameOf(x)} is worth ${pointsX} points and a ${nameOf(y)} ${pointsY}. How many points is that?`,
      `Each ${nameOf(x)} costs ${pointsX} coins and each ${nameOf(y)} ${pointsY} coins. What do they cost?`,
    ]),
    readings: [x, y].map(read),
    calculations: [
      { stage: 0, parts: [{ operator: '*', left: x.count, right: pointsX }] },
      { stage: 0, parts: [{ operator: '*', left: y.count, right: pointsY }] },
      { stage: 1, parts: [{ operator: '+', left: totalX, right: totalY }], intros: ['Together:'] },
    ],
    answer: totalX + totalY,
  };
}

function boxesOf(kinds: readonly Kind[], rng: Rng): Asked {
  const [x, y] = rng.shuffle(kinds) as [Kind, Kind];
  const boxes = rng.int(3, 12);
  const sum = x.count + y.count;
  return {
    kind: 'boxes',
    question: rng.pick([
      `How many ${nameOf(x)}s and ${nameOf(y)}s are in ${boxes} such boxes?`,
      `What is ${boxes} times the number of ${nameOf(x)}s and ${nameOf(y)}s together?`,
    ]),
    readings: [x, y].map(read),
    calculations: [
      {
        stage: 0,
        parts: [{ operator: '+', left: x.count, right: y.count }],
        intros: ['Together:'],
      },
      { stage: 1, parts: [{ operator: '*', left: sum, right: boxes }] },
    ],
    answer: sum * boxes,
  };
}

function tripleMinus(kinds: readonly Kind[], rng: Rng): Asked {
  const [x, y, z] = rng.shuffle(kinds) as [Kind, Kind, Kind];
  const factor = rng.int(3, 9);
  const product = x.count * factor;
  const sum = y.count + z.count;
  const difference = product - sum;
  // Negative answers would need a sign that no other family uses.
  if (difference < 0) return boxesOf(kinds, rng);
  return {
    kind: 'minus',
    question: rng.pick([
      `You win ${factor} coins per ${nameOf(x)} and lose one per ${nameOf(y)} and ${nameOf(z)}. How many stay?`,
      `What is ${factor} times the ${nameOf(x)}s minus the ${nameOf(y)}s and the ${nameOf(z)}s?`,
    ]),
    readings: [x, y, z].map(read),
    calculations: [
      { stage: 0, parts: [{ operator: '*', left: x.count, right: factor }] },
      { stage: 0, parts: [{ operator: '+', left: y.count, right: z.count }] },
      { stage: 1, parts: [{ operator: '-', left: product, right: sum }] },
    ],
    answer: difference,
  };
}

export function draftCounts(figureRng: Rng, questionRng: Rng): ProblemDraft {
  // Either the colours differ or the shapes; three kinds in all.
  const byColour = figureRng.int(0, 1) === 1;
  const colours = figureRng.shuffle(countColours);
  const shapes = figureRng.shuffle(countShapes);
  const kinds = [0, 1, 2].map(
    (i): Kind => ({
      colour: colours[byColour ? i : 0] as Kind['colour'],
      shape: shapes[byColour ? 0 : i] as Kind['shape'],
      named: byColour ? 'colour' : 'shape',
      count: figureRng.int(1, 7),
    }),
  );
  const picture = drawCounts(kinds, figureRng);
  const counted = kinds.map((kind) => `${nameOf(kind)}${kind.count}`).sort();
  return {
    family: 'counts',
    figureContent: `counts/${counted.join(',')}`,
    figureName: 'picture',
    ...questionRng.pick([points, boxesOf, tripleMinus])(kinds, questionRng),
    ...picture,
  };
}
