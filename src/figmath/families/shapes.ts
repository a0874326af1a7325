import { ink, paleFills, papers, patchSide, Raster } from '../raster.js';
import type { Rng } from '../rng.js';
import type { CalculationPart, FigureItem, ProblemDraft, Reading } from '../types.js';

interface Rectangle {
  width: number;
  height: number;
}

interface Triangle {
  base: number;
  left: number;
  right: number;
}

type Side = keyof Rectangle | keyof Triangle;

interface Jitter {
  x: number;
  y: number;
}

/** A pixel column's nearest patch pair whose number is centered there. */
function columnAt(centerX: number): number {
  return Math.min(6, Math.max(0, Math.round((centerX - 10) / patchSide)));
}

/** `top` and `rows` in patch rows: the free part of the figure, whose last row holds a label. */
interface Area {
  top: number;
  rows: number;
}

function drawRectangle(
  raster: Raster,
  rectangle: Rectangle,
  area: Area,
  rng: Rng,
  jitter: Jitter,
): FigureItem[] {
  const longest = Math.max(rectangle.width, rectangle.height);
  // Drawn roughly to scale; a side never gets shorter than its label needs.
  const width = Math.max(18, Math.round((54 * rectangle.width) / longest) - rng.int(0, 3));
  const room = (area.rows - 1) * patchSide - 2;
  const height = Math.max(14, Math.round((room * rectangle.height) / longest) - rng.int(0, 3));
  // The label of the height stands in its own two patches beside the rectangle.
  const labelOnLeft = rng.int(0, 1) === 1;
  const x = labelOnLeft ? 18 + rng.int(0, 60 - width) : 61 - width - rng.int(0, 60 - width);
  const bottomRow = area.top + area.rows - 1 - rng.int(0, Math.floor((room - height) / patchSide));
  const y = bottomRow * patchSide - height;
  raster.fill({ x, y, width, height }, rng.pick(paleFills));
  raster.outline({ x, y, width, height }, ink);
  const heightColumn = labelOnLeft
    ? Math.floor((x - 17) / patchSide)
    : Math.ceil((x + width - 2) / patchSide);
  const heightRow = Math.floor((y + height / 2) / patchSide);
  const widthColumn = columnAt(x + width / 2);
  return [
    {
      owner: 'width',
      value: rectangle.width,
      boxes: [raster.number(rectangle.width, widthColumn, bottomRow, jitter)],
    },
    {
      owner: 'height',
      value: rectangle.height,
      boxes: [raster.number(rectangle.height, heightColumn, heightRow, jitter)],
    },
  ];
}

function drawTriangle(
  raster: Raster,
  triangle: Triangle,
  area: Area,
  rng: Rng,
  jitter: Jitter,
): FigureItem[] {
  const bottomRow = area.top + area.rows - 1;
  const baseY = bottomRow * patchSide - 1;
  const apexY = area.top * patchSide + 1;
  const width = 40 + rng.int(0, 12);
  const left = 40 - Math.floor(width / 2) + rng.int(-3, 3);
  const right = left + width;
  const apexX = left + Math.floor(width / 2) + rng.int(-3, 3);
  raster.triangle(left, right, baseY, apexX, apexY, rng.pick(paleFills));
  raster.line(left, baseY, right, baseY, ink);
  raster.line(left, baseY, apexX, apexY, ink);
  raster.line(right, baseY, apexX, apexY, ink);
  // Side labels stand halfway up, as near to the slanted lines as whole patches allow.
  const row = area.top + Math.floor((area.rows - 1) / 2) - 1;
  const down = (row * patchSide + 9 - apexY) / (baseY - apexY);
  const lineLeft = apexX + (left - apexX) * down;
  const lineRight = apexX + (right - apexX) * down;
  const places: [Side, number, number, number][] = [
    ['base', triangle.base, columnAt(left + width / 2), bottomRow],
    ['left', triangle.left, Math.max(0, Math.floor((lineLeft - 17) / patchSide)), row],
    ['right', triangle.right, Math.min(6, Math.ceil((lineRight - 2) / patchSide)), row],
  ];
  return places.map(([owner, value, column, labelRow]) => ({
    owner,
    value,
    boxes: [raster.number(value, column, labelRow, jitter)],
  }));
}

/** Sides that close: the longest is shorter than the other two together. */
function randomTriangle(rng: Rng, low: number, high: number): Triangle {
  for (;;) {
    const sides = [rng.int(low, high), rng.int(low, high), rng.int(low, high)] as const;
    const [base, left, right] = sides;
    if (2 * Math.max(...sides) < base + left + right) return { base, left, right };
  }
}

type Asked = Pick<ProblemDraft, 'kind' | 'question' | 'readings' | 'calculations' | 'answer'>;

/** What stands in one figure: one shape or both. */
interface Shapes {
  rectangle?: Rectangle;
  triangle?: Triangle;
}

const sideReadings = (shape: Rectangle | Triangle): Reading[] =>
  Object.entries(shape).map(([name, value]) => ({ name, value: value as number }));

/** Width plus height, doubled. */
function aroundRectangle({ width, height }: Rectangle): CalculationPart[] {
  return [
    { operator: '+', left: width, right: height },
    { operator: '*', left: width + height, right: 2 },
  ];
}

/** The three sides added in a random order. */
function aroundTriangle(triangle: Triangle, rng: Rng): CalculationPart[] {
  const [a, b, c] = rng.shuffle(Object.values(triangle)) as [number, number, number];
  return [
    { operator: '+', left: a, right: b },
    { operator: '+', left: a + b, right: c },
  ];
}

function fence(rectangle: Rectangle, rng: Rng): Asked {
  const price = rng.int(2, 4);
  const perimeter = 2 * (rectangle.width + rectangle.height);
  const [sum, doubled] = aroundRectangle(rectangle) as [CalculationPart, CalculationPart];
  return {
    kind: 'fence',
    question: rng.pick([
      `A fence around the rectangle costs ${price} coins per metre. What does it cost?`,
      `You walk around the rectangle ${price} times. How far do you walk?`,
      `What is ${price} times the perimeter of the rectangle?`,
    ]),
    readings: sideReadings(rectangle),
    calculations: [
      { stage: 0, parts: [sum] },
      { stage: 1, parts: [doubled], intros: ['Perimeter:'] },
      { stage: 2, parts: [{ operator: '*', left: perimeter, right: price }] },
    ],
    answer: perimeter * price,
  };
}

function areaChanged(rectangle: Rectangle, rng: Rng): Asked {
  const area = rectangle.width * rectangle.height;
  const used = rng.int(11, Math.min(60, area - 1));
  const grows = rng.int(0, 1) === 1;
  return {
    kind: 'area',
    question: grows
      ? rng.pick([
          `The rectangle is a garden and ${used} square metres are added. How large is it then?`,
          `What is the area of the rectangle plus ${used}?`,
        ])
      : rng.pick([
          `The rectangle is a garden and a pond takes ${used} square metres. How much is left?`,
          `What is the area of the rectangle minus ${used}?`,
        ]),
    readings: sideReadings(rectangle),
    calculations: [
      {
        stage: 0,
        parts: [{ operator: '*', left: rectangle.width, right: rectangle.height }],
        intros: ['Area:'],
      },
      { stage: 1, parts: [{ operator: grows ? '+' : '-', left: area, right: used }] },
    ],
    answer: grows ? area + used : area - used,
  };
}

function triangleTimes(triangle: Triangle, rng: Rng): Asked {
  const times = rng.int(2, 4);
  const perimeter = triangle.base + triangle.left + triangle.right;
  const [first, second] = aroundTriangle(triangle, rng) as [CalculationPart, CalculationPart];
  return {
    kind: 'triangle',
    question: rng.pick([
      `You walk around the triangle ${times} times. How far do you walk?`,
      `What is ${times} times the perimeter of the triangle?`,
    ]),
    readings: sideReadings(triangle),
    calculations: [
      { stage: 0, parts: [first] },
      { stage: 1, parts: [second], intros: ['Perimeter:'] },
      { stage: 2, parts: [{ operator: '*', left: perimeter, right: times }] },
    ],
    answer: perimeter * times,
  };
}

function bothPerimeters(rectangle: Rectangle, triangle: Triangle, rng: Rng): Asked {
  const around = 2 * (rectangle.width + rectangle.height);
  const aroundOther = triangle.base + triangle.left + triangle.right;
  const together = rng.int(0, 1) === 1;
  const [more, less] =
    around >= aroundOther ? ['rectangle', 'triangle'] : ['triangle', 'rectangle'];
  const [high, low] = [Math.max(around, aroundOther), Math.min(around, aroundOther)];
  return {
    kind: 'both',
    question: together
      ? rng.pick([
          'What is the sum of the perimeters of the rectangle and the triangle?',
          'A rope goes around both shapes. How long is it?',
        ])
      : rng.pick([
          `How much longer is the perimeter of the ${more} than that of the ${less}?`,
          `What is the perimeter of the ${more} minus that of the ${less}?`,
        ]),
    readings: [
      ...sideReadings(rectangle).map((r) => ({ ...r, group: 'rectangle', title: 'Rectangle' })),
      ...sideReadings(triangle).map((r) => ({ ...r, group: 'triangle', title: 'Triangle' })),
    ],
    calculations: [
      {
        stage: 0,
        parts: aroundRectangle(rectangle),
        intros: ['Around the rectangle:', 'Rectangle:'],
      },
      {
        stage: 0,
        parts: aroundTriangle(triangle, rng),
        intros: ['Around the triangle:', 'Triangle:'],
      },
      { stage: 1, parts: [{ operator: together ? '+' : '-', left: high, right: low }] },
    ],
    answer: together ? high + low : high - low,
  };
}

function drawShapes(shapes: Shapes, rng: Rng): { raster: Raster; items: FigureItem[] } {
  const raster = new Raster(rng.pick(papers));
  const jitter = { x: rng.int(-1, 1), y: rng.int(-1, 0) };
  const items: FigureItem[] = [];
  const { rectangle, triangle } = shapes;
  const both = rectangle !== undefined && triangle !== undefined;
  const rectangleAbove = rng.int(0, 1) === 1;
  const areaOf = (above: boolean): Area =>
    both ? { top: above ? 0 : 4, rows: 4 } : { top: rng.int(0, 1), rows: rng.int(6, 7) };
  if (rectangle) {
    items.push(...drawRectangle(raster, rectangle, areaOf(rectangleAbove), rng, jitter));
  }
  if (triangle) {
    items.push(...drawTriangle(raster, triangle, areaOf(!rectangleAbove), rng, jitter));
  }
  return { raster, items };
}

/** A quarter each: a rectangle, one whose area is easy to ask for, a triangle, both shapes. */
function randomShapes(rng: Rng): Shapes {
  switch (rng.int(0, 3)) {
    case 0:
      return { rectangle: { width: rng.int(3, 35), height: rng.int(3, 35) } };
    case 1:
      return { rectangle: { width: rng.int(11, 40), height: rng.int(2, 9) } };
    case 2:
      return { triangle: randomTriangle(rng, 5, 35) };
    default:
      return {
        rectangle: { width: rng.int(3, 30), height: rng.int(3, 30) },
        triangle: randomTriangle(rng, 5, 30),
      };
  }
}

function ask({ rectangle, triangle }: Shapes, rng: Rng): Asked {
  if (rectangle && triangle) return bothPerimeters(rectangle, triangle, rng);
  if (triangle) return triangleTimes(triangle, rng);
  const { width, height } = rectangle as Rectangle;
  const easyArea = width > 10 && height < 10;
  const question = easyArea && rng.int(0, 4) > 0 ? areaChanged : fence;
  return question({ width, height }, rng);
}

export function draftShapes(figureRng: Rng, questionRng: Rng): ProblemDraft {
  const shapes = randomShapes(figureRng);
  const picture = drawShapes(shapes, figureRng);
  const sides = [shapes.rectangle, shapes.triangle].map((shape) =>
    Object.values(shape ?? {}).join('x'),
  );
  return {
    family: 'shapes',
    figureContent: `shapes/${sides.join('/')}`,
    figureName: 'figure',
    ...ask(shapes, questionRng),
    ...picture,
  };
}
