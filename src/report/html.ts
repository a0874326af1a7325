/** The report as one HTML page that needs no other file, in light and dark. */
import { cellColumns, headline, percent, prmLines } from './markdown.js';
import { plotSvg } from './plots.js';
import { bestCells, type CellReport, type HardProblem, type ReportData } from './report-data.js';
import type { NamedPlot } from './report-plots.js';

export interface PageSettings {
  /** Address of a problem in the viewer, with `{id}` for its id; empty for no links. */
  readonly viewer?: string;
}

export async function reportHtml(
  data: ReportData,
  plots: readonly NamedPlot[],
  { viewer = '' }: PageSettings = {},
): Promise<string> {
  const figures = await Promise.all(plots.map(figure));
  const sections = [
    strategies(data),
    ...(figures.length > 0 ? [`<section class="plots">${figures.join('')}</section>`] : []),
    groups(data),
    rewardModel(data),
    worst(data, viewer),
    facts(data),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(data.title)} · Steptree</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header><h1>${escapeHtml(data.title)}</h1><p>${escapeHtml(headline(data))}</p></header>
${tiles(data)}
${sections.filter((one) => one !== '').join('\n')}
<footer>Made by steptree bench report.</footer>
</main>
</body>
</html>
`;
}

function tiles({ cells, unfinished }: ReportData): string {
  const best = [...cells].sort((a, b) => b.accuracy.mean - a.accuracy.mean)[0];
  if (!best) return '';
  const ungraded = cells.reduce((sum, cell) => sum + cell.ungraded, 0);
  const unanswered = cells.reduce((sum, cell) => sum + cell.unanswered, 0);
  const tries = cells.reduce((sum, cell) => sum + cell.correct + cell.wrong + cell.ungraded, 0);
  const { mean, low, high } = best.accuracy;
  const tile = (value: string, label: string, alarm = false) =>
    `<div class="tile${alarm ? ' alarm' : ''}"><b>${value}</b><span>${label}</span></div>`;
  const name = cells.length > 1 ? `best: ${escapeHtml(best.name)}` : 'accuracy';
  return `<section class="tiles">${[
    tile(`${percent(mean)} %`, `${name}, ${percent(low)} to ${percent(high)}`),
    ...(best.oracle && best.oracle.mean > mean
      ? [tile(`${percent(best.oracle.mean)} %`, 'some candidate of it is right')]
      : []),
    tile(String(ungraded), `ungraded of ${tries.toLocaleString('en')} answers`, ungraded > 0),
    tile(String(unanswered), 'without an answer', unanswered > 0),
    tile(String(unfinished), 'problems without a result', unfinished > 0),
  ].join('')}</section>`;
}

function strategies({ cells, metrics }: ReportData): string {
  const columns = cellColumns(cells);
  const head = columns.map(({ title }) => `<th>${escapeHtml(title)}</th>`).join('');
  const body = cells
    .map((cell) => `<tr>${columns.map((column) => strategyCell(column, cell)).join('')}</tr>`)
    .join('\n');
  const further = metrics
    .map(
      ({ name, value, total }) =>
        `<li>${escapeHtml(name)}: <b>${percent(value)} %</b> of ${total}</li>`,
    )
    .join('');
  return `<section><h2>Strategies</h2><div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>${further ? `<ul class="metrics">${further}</ul>` : ''}<p class="note">Tokens, calls and seconds are means per problem. An ungraded answer is neither right nor wrong; it counts as not right. Over subsets: votes and best-of-N at this N within the pool of the largest N, which the curves show.</p></section>`;
}

function strategyCell(
  { title, of }: { title: string; of: (cell: CellReport) => string },
  cell: CellReport,
): string {
  if (title === 'strategy') return `<th scope="row">${escapeHtml(of(cell))}</th>`;
  if (title !== 'accuracy %') return `<td>${escapeHtml(of(cell))}</td>`;
  return `<td class="bar">${bar(cell.accuracy)}</td>`;
}

/** A value with its interval drawn behind it. */
function bar({ mean, low, high }: { mean: number; low: number; high: number }): string {
  const x = (value: number) => (100 * value).toFixed(1);
  return `<span class="meter" style="--v:${x(mean)}%;--l:${x(low)}%;--h:${x(high)}%"></span><span class="value">${percent(mean)}</span><small>${percent(low)} to ${percent(high)}</small>`;
}

async function figure({ name, plot }: NamedPlot): Promise<string> {
  const [light, dark] = await Promise.all([plotSvg(plot, 'light'), plotSvg(plot, 'dark')]);
  // Ids inside the two drawings of one plot would clash.
  return `<figure id="${escapeHtml(name)}"><div class="light">${unique(light, `${name}-l`)}</div><div class="dark">${unique(dark, `${name}-d`)}</div></figure>`;
}

function unique(svg: string, prefix: string): string {
  return svg
    .replace(/\bid="([^"]+)"/g, `id="${prefix}-$1"`)
    .replace(/url\(#([^)]+)\)/g, `url(#${prefix}-$1)`);
}

/** Strategies of a table of subgroups, at most: a page is only so wide. */
const maxGroupCells = 3;

function groups({ groups: axes, cells }: ReportData): string {
  if (axes.length === 0) return '';
  const shown = bestCells(cells, maxGroupCells);
  const tables = axes.map(({ axis, values }, index) => {
    const head = ['problems', ...shown.map(({ cell }) => `${cell.name} %`)]
      .map((title) => `<th>${escapeHtml(title)}</th>`)
      .join('');
    const body = values
      .map(({ value, problems, cells: estimates }) => {
        const columns = shown.map(({ index: at }) => {
          const estimate = estimates[at];
          return `<td class="bar">${estimate ? bar(estimate) : ''}</td>`;
        });
        return `<tr><th scope="row">${escapeHtml(value)}</th><td>${problems}</td>${columns.join('')}</tr>`;
      })
      .join('\n');
    return `<details${index === 0 ? ' open' : ''}><summary>${escapeHtml(axis)} <small>${values.length} groups</small></summary><div class="scroll"><table><thead><tr><th>${escapeHtml(axis)}</th>${head}</tr></thead><tbody>${body}</tbody></table></div></details>`;
  });
  const note =
    shown.length < cells.length
      ? `<p class="note">The ${shown.length} most accurate of ${cells.length} are shown; the CSV holds all.</p>`
      : '';
  return `<section><h2>Subgroups</h2>${note}${tables.join('')}</section>`;
}

function rewardModel({ prm }: ReportData): string {
  if (!prm) return '';
  const items = prmLines(prm).map((line) => `<li>${escapeHtml(line.replace(/^- /, ''))}</li>`);
  return `<section><h2>Reward model</h2><ul class="metrics">${items.join('')}</ul></section>`;
}

function worst({ hardest }: ReportData, viewer: string): string {
  if (hardest.length === 0) return '';
  const rows = hardest.map((problem) => worstRow(problem, viewer)).join('\n');
  return `<section><h2>Worst problems</h2><p class="note">The lowest share of right tries first; among equals those on which most tries agree on one wrong answer: there the gold answer is worth a look.</p><div class="scroll"><table class="worst"><thead><tr><th>problem</th><th>right</th><th>gold</th><th>answers</th></tr></thead><tbody>${rows}</tbody></table></div></section>`;
}

function worstRow(
  { id, right, tries, gold, answers, question }: HardProblem,
  viewer: string,
): string {
  const link = viewer === '' ? '' : viewer.replaceAll('{id}', encodeURIComponent(id));
  const name = link === '' ? escapeHtml(id) : `<a href="${escapeHtml(link)}">${escapeHtml(id)}</a>`;
  const text = question ? `<p>${escapeHtml(brief(question, 240))}</p>` : '';
  const listed = answers
    .slice(0, 3)
    .map((one) => `<code>${escapeHtml(brief(one, 80))}</code>`)
    .join(' ');
  return `<tr><th scope="row">${name}${text}</th><td>${right} of ${tries}</td><td><code>${escapeHtml(brief(gold, 80))}</code></td><td>${listed}</td></tr>`;
}

function facts({ facts: all }: ReportData): string {
  const rows = Object.entries(all)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([key, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value, null, 1);
      return `<tr><th scope="row">${escapeHtml(key)}</th><td><pre>${escapeHtml(text)}</pre></td></tr>`;
    });
  if (rows.length === 0) return '';
  return `<section><details><summary>How it was made</summary><div class="scroll"><table class="facts"><tbody>${rows.join('')}</tbody></table></div></details></section>`;
}

function brief(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

const STYLE = `
:root{--ground:#f6f8fa;--card:#fff;--text:#1c2733;--muted:#5c6b7a;--line:#e3e8ee;--accent:#0072b2;--soft:#cfe4f2;--alarm:#b3480b}
@media (prefers-color-scheme:dark){:root{--ground:#0f141a;--card:#151b22;--text:#e6ebf1;--muted:#9aa8b7;--line:#2c3743;--accent:#5ab4e8;--soft:#1d3a50;--alarm:#f2873d}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,"Segoe UI",Roboto,sans-serif}
main{max-width:1180px;margin:0 auto;padding:32px 20px 48px}
h1{font-size:26px;margin:0}h2{font-size:17px;margin:0 0 12px}
header p,.note,footer,small{color:var(--muted)}header p{margin:4px 0 20px}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:0 0 18px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;background:none;border:0;padding:0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:24px;font-variant-numeric:tabular-nums}.tile span{color:var(--muted);font-size:13px}.tile.alarm b{color:var(--alarm)}
.plots{display:flex;flex-wrap:wrap;gap:24px 32px;align-items:flex-start}
figure{margin:0;max-width:100%;overflow-x:auto}figure svg{max-width:100%;height:auto}
.dark{display:none}@media (prefers-color-scheme:dark){.dark{display:block}.light{display:none}}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}
th,td{text-align:right;padding:6px 10px;border-bottom:1px solid var(--line);white-space:nowrap;vertical-align:top}
thead th{color:var(--muted);font-weight:500;font-size:13px}
th:first-child{text-align:left}tbody th{font-weight:500}
tbody tr:last-child>*{border-bottom:0}
.bar{min-width:190px}.bar .value{display:inline-block;min-width:40px;font-weight:600}.bar small{display:inline-block;min-width:96px;margin-left:6px}
.meter{display:inline-block;vertical-align:middle;width:84px;height:9px;border-radius:3px;margin-right:8px;
background:linear-gradient(90deg,transparent var(--l),var(--muted) var(--l) var(--h),transparent var(--h)) center/100% 2px no-repeat,linear-gradient(90deg,var(--accent) var(--v),var(--line) var(--v))}
details{border-top:1px solid var(--line);padding:8px 0}details:first-of-type{border-top:0}
summary{cursor:pointer;font-weight:500}summary small{font-weight:400;margin-left:6px}
.worst th{white-space:normal;max-width:520px}.worst th p{margin:2px 0 0;font-weight:400;color:var(--muted);font-size:13px}.worst td{text-align:left}
.worst thead th{text-align:left}
code{background:var(--ground);border:1px solid var(--line);border-radius:4px;padding:1px 5px;font-size:13px;white-space:pre-wrap;word-break:break-word}
.facts td,.facts pre{text-align:left;white-space:pre-wrap;word-break:break-word;margin:0}
.metrics{margin:12px 0 0;padding-left:18px}a{color:var(--accent)}footer{font-size:13px;text-align:center}
@media print{body{background:#fff}section{break-inside:avoid}}
`;
