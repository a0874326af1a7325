import { glyphHeight, textWidth } from '../font.js';
import { type Box, ink, paleFills, papers, Raster } from '../raster.js';
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

/** Draws the number at (left, top) and says which side it belongs to. */
function label(raster: Raster, side: Side, value: number, left: number, top: number): FigureItem {
  return { owner: side, value, boxes: [raster.text(String(value), left, top)] };
}

/** `area` is the free part of the figure, in pixels. */
function drawRectangle(raster: Raster, rectangle: Rectangle, area: Box, rng: Rng): FigureItem[] {
  const longest = Math.max(rectangle.width, rectangle.height);
  const roomX = area.width - 17;
  const roomY = area.height - 12;
  // Drawn roughly to scale; a side never gets shorter than its label needs.
  const width = Math.max(16, Math.round((roomX * rectangle.width) / longest) - rng.int(0, 3));
  const height = Math.max(12, Math.round((roomY * rectangle.height) / longest) - rng.int(0, 3));
  const labelOnLeft = rng.int(0, 1) === 1;
  const x = area.x + (labelOnLeft ? 14 : 2) + rng.int(0, Math.max(0, roomX - width));
  const y = area.y + 1 + rng.int(0, Math.max(0, roomY - height));
  raster.fill({ x, y, width, height }, rng.pick(paleFills));
  raster.outline({ x, y, width, height }, ink);
  const widthText = String(rectangle.width);
  const heightText = String(rectangle.height);
  const middleX = x + Math.floor((width - textWidth(widthText)) / 2);
  const middleY = y + Math.floor((height - glyphHeight) / 2);
  const heightX = labelOnLeft ? x - 2 - textWidth(heightText) : x + width + 2;
  return [
    label(raster, 'width', rectangle.width, middleX, y + height + 2),
    label(raster, 'height', rectangle.height, heightX, middleY),
  ];
}

function drawTriangle(raster: Raster, triangle: Triangle, area: Box, rng: Rng): FigureItem[] {
  const height = area.height - 12 - rng.int(0, Math.max(0, Math.floor(area.height / 6)));
  const width = Math.min(area.width - 20, height + rng.int(10, 24));
  const left = area.x + 8 + rng.int(0, Math.max(0, area.width - 20 - width));
  const right = left + width;
  const baseY = area.y + height + 1;
  const apexX = left + Math.floor(width / 2) + rng.int(-3, 3);
  const apexY = area.y + 1;
  raster.triangle(left, right, baseY, apexX, apexY, rng.pick(paleFills));
  raster.line(left, baseY, right, baseY, ink);
  raster.line(left, baseY, apexX, apexY, ink);
  raster.line(right, baseY, apexX, apexY, ink);
  const middleY = Math.floor((apexY + baseY) / 2) - 5;
  const baseText = String(triangle.base);
  const leftText = String(triangle.left);
  const leftX = Math.floor((left + apexX) / 2) - textWidth(leftText) - 3;
  return [
    label(
      raster,
      'base',
      triangle.base,
      left + Math.floor((width - textWidth(baseText)) / 2),
      baseY + 3,
    ),
    label(raster, 'left', triangle.left, Math.max(0, leftX), middleY),
    label(raster, 'right', triangle.right, Math.floor((right + apexX) / 2) + 4, middleY),
  ];
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
  const price = rng.int(2, 9);
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
  const used = rng.int(11, Math.min(99, area - 1));
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
  const times = rng.int(2, 6);
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
      ...sideReadings(rectangle).map((r) => ({ ...r, group: 'Rectangle' })),
      ...sideReadings(triangle).map((r) => ({ ...r, group: 'Triangle' })),
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
  const items: FigureItem[] = [];
  const { rectangle, triangle } = shapes;
  if (rectangle && triangle) {
    const rectangleAbove = rng.int(0, 1) === 1;
    const [top, bottom] = [
      { x: rng.int(0, 2), y: 0, width: 78, height: 40 },
      { x: rng.int(0, 2), y: 40, width: 78, height: 40 },
    ];
    items.push(...drawRectangle(raster, rectangle, rectangleAbove ? top : bottom, rng));
    items.push(...drawTriangle(raster, triangle, rectangleAbove ? bottom : top, rng));
  } else {
    const area = { x: rng.int(0, 4), y: rng.int(0, 8), width: 75, height: rng.int(58, 70) };
    if (rectangle) items.push(...drawRectangle(raster, rectangle, area, rng));
    if (triangle) items.push(...drawTriangle(raster, triangle, area, rng));
  }
  return { raster, items };
}

/** A quarter each: a rectangle, one whose area is easy to ask for, a triangle, both shapes. */
function randomShapes(rng: Rng): Shapes {
  switch (rng.int(0, 3)) {
    case 0:
      return { rectangle: { width: rng.int(4, 60), height: rng.int(4, 60) } };
    case 1:
      return { rectangle: { width: rng.int(11, 60), height: rng.int(3, 9) } };
    case 2:
      return { triangle: randomTriangle(rng, 5, 60) };
    default:
      return {
        rectangle: { width: rng.int(4, 40), height: rng.int(4, 40) },
        triangle: randomTriangle(rng, 5, 40),
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
