import { greyLine, headerFill, papers, Raster } from '../raster.js';
import type { Rng } from '../rng.js';
import type { Calculation, FigureItem, ProblemDraft, Reading } from '../types.js';
import { barLetters } from './bars.js';

export const rowLetters = ['P', 'Q', 'R', 'S', 'T', 'U'] as const;

const cellSide = 20; // pixels, two patches

interface Table {
  rows: string[];
  columns: string[];
  /** values[row][column] */
  values: number[][];
}

function drawTable(table: Table, rng: Rng): { raster: Raster; items: FigureItem[] } {
  const raster = new Raster(rng.pick(papers));
  const jitter = { x: rng.int(-1, 1), y: rng.int(-1, 0) };
  // The header is cut at the figure's edge, so that texts stand in the middle of even patch rows.
  const headerHeight = 15;
  const bottom = headerHeight + 3 * cellSide;
  raster.fill({ x: 0, y: 0, width: 80, height: headerHeight }, headerFill);
  raster.fill({ x: 0, y: 0, width: cellSide, height: bottom }, headerFill);
  for (let i = 0; i <= 3; i++) {
    raster.fill({ x: 0, y: headerHeight + i * cellSide, width: 80, height: 1 }, greyLine);
    raster.fill({ x: (i + 1) * cellSide, y: 0, width: 1, height: bottom }, greyLine);
  }
  const writeName = (name: string, row: number, column: number) =>
    raster.text(name, column * cellSide + 11 + jitter.x, row * cellSide + 2 + jitter.y);
  table.columns.forEach((name, column) => {
    writeName(name, 0, column + 1);
  });
  const items: FigureItem[] = [];
  table.rows.forEach((name, row) => {
    writeName(name, row + 1, 0);
    table.columns.forEach((columnName, column) => {
      const value = (table.values[row] as number[])[column] as number;
      const box = raster.number(value, 2 * (column + 1), 2 * (row + 1), jitter);
      items.push({ owner: name, subOwner: columnName, value, boxes: [box] });
    });
  });
  return { raster, items };
}

type Asked = Pick<ProblemDraft, 'kind' | 'question' | 'readings' | 'calculations' | 'answer'>;

interface Line {
  kind: 'row' | 'column';
  name: string;
  readings: Reading[];
  sum: number;
}

function lineOf(table: Table, kind: 'row' | 'column', index: number): Line {
  const name = (kind === 'row' ? table.rows : table.columns)[index] as string;
  const others = kind === 'row' ? table.columns : table.rows;
  const readings = others.map((other, i): Reading => {
    const [row, column] = kind === 'row' ? [index, i] : [i, index];
    return {
      group: name,
      name: kind === 'row' ? `${name} ${other}` : `${other} ${name}`,
      value: (table.values[row] as number[])[column] as number,
    };
  });
  return { kind, name, readings, sum: readings.reduce((sum, r) => sum + r.value, 0) };
}

/** a+b=s, s+c=t in one step, introduced by the line's name. */
function sumOf(line: Line, stage: number): Calculation {
  const [a, b, c] = line.readings.map((reading) => reading.value) as [number, number, number];
  return {
    stage,
    parts: [
      { operator: '+', left: a, right: b },
      { operator: '+', left: a + b, right: c },
    ],
    intros: [`Sum of ${line.name}:`, `Sum of ${line.kind} ${line.name}:`],
  };
}

function lineAgainstLine(table: Table, rng: Rng): Asked {
  const kind = rng.pick(['row', 'column'] as const);
  const [i, j] = rng.shuffle([0, 1, 2]) as [number, number];
  let [x, y] = [lineOf(table, kind, i), lineOf(table, kind, j)];
  if (x.sum < y.sum) [x, y] = [y, x];
  return {
    kind: 'lines',
    question: rng.pick([
      `How much larger is the sum of ${kind} ${x.name} than the sum of ${kind} ${y.name}?`,
      `Add up ${kind} ${x.name} and take away the sum of ${kind} ${y.name}. What is left?`,
    ]),
    readings: [...x.readings, ...y.readings],
    calculations: [
      sumOf(x, 0),
      sumOf(y, 0),
      { stage: 1, parts: [{ operator: '-', left: x.sum, right: y.sum }], intros: ['Difference:'] },
    ],
    answer: x.sum - y.sum,
  };
}

function lineTimes(table: Table, rng: Rng): Asked {
  const kind = rng.pick(['row', 'column'] as const);
  const line = lineOf(table, kind, rng.int(0, 2));
  const price = rng.int(2, 5);
  return {
    kind: 'price',
    question: rng.pick([
      `Each item costs ${price} coins. What does all of ${kind} ${line.name} cost?`,
      `Add up ${kind} ${line.name} and multiply by ${price}. What do you get?`,
    ]),
    readings: line.readings,
    calculations: [
      sumOf(line, 0),
      { stage: 1, parts: [{ operator: '*', left: line.sum, right: price }], intros: ['Cost:'] },
    ],
    answer: line.sum * price,
  };
}

function cellsTimes(table: Table, rng: Rng): Asked {
  const cell = (row: number, column: number) => ({
    name: `${table.rows[row]} ${table.columns[column]}`,
    value: (table.values[row] as number[])[column] as number,
    place: `row ${table.rows[row]}, column ${table.columns[column]}`,
  });
  const [row, otherRow] = rng.shuffle([0, 1, 2]) as [number, number];
  let [x, y] = [cell(row, rng.int(0, 2)), cell(otherRow, rng.int(0, 2))];
  if (x.value < y.value) [x, y] = [y, x];
  const factor = rng.int(2, 6);
  const difference = x.value - y.value;
  return {
    kind: 'cells',
    question: rng.pick([
      `Take ${y.place} from ${x.place} and multiply by ${factor}. What do you get?`,
      `What is ${factor} times the difference between ${x.place} and ${y.place}?`,
    ]),
    readings: [x, y].map(({ name, value }) => ({ name, value })),
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
  const table: Table = {
    rows: figureRng.shuffle(rowLetters).slice(0, 3).sort(),
    columns: figureRng.shuffle(barLetters).slice(0, 3).sort(),
    values: [0, 1, 2].map(() => [0, 1, 2].map(() => figureRng.int(2, 30))),
  };
  const picture = drawTable(table, figureRng);
  const ask = questionRng.pick([lineAgainstLine, lineTimes, cellsTimes]);
  const { rows, columns, values } = table;
  return {
    family: 'table',
    figureContent: `table/${rows.join('')}/${columns.join('')}/${values.flat().join(',')}`,
    figureName: 'table',
    ...ask(table, questionRng),
    ...picture,
  };
}
