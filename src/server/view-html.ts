/** The viewer as one file that needs no server: script, style, fonts, runs and pictures inside. */
import { createHash } from 'node:crypto';
import { SteptreeError } from '../../search/errors.js';
import { type BuiltPage, readBuiltPage } from './view-built.js';
import type { ViewFolder } from './view-folder.js';
import type { ViewBundle, ViewProblem, ViewRunDetail } from './view-types.js';

export interface HtmlPage {
  readonly html: string;
  readonly runs: number;
  readonly problems: number;
}

/** Browsers get slow with larger pages. */
const MAX_PAGE_BYTES = 200_000_000;

/** @param only ids of problems; empty is all
 *  @throws SteptreeError VIEW_PAGE_TOO_BIG, VIEW_NOT_BUILT, VIEW_PROBLEM_UNKNOWN if no run holds any
 *  of `only`, and what reading the runs throws */
export async function selfContainedPage(
  folder: ViewFolder,
  only: readonly string[] = [],
  page: BuiltPage = readBuiltPage(),
): Promise<HtmlPage> {
  const { bundle, problems } = await makeBundle(folder, new Set(only));
  const data = JSON.stringify(bundle);
  const usesMaths = MATHS.test(data);
  return { html: inlined(page, data, usesMaths), runs: bundle.runs.length, problems };
}

/** Where the page looks for a picture. */
export function bundleImageKey(run: string, problem: string, at: number): string {
  return `${at} ${run} ${problem}`;
}

/** Something that the page might set as a formula; else it needs none of KaTeX's fonts. */
const MATHS = /\$|\\\\[([]|\\\\boxed/;

async function makeBundle(
  folder: ViewFolder,
  only: ReadonlySet<string>,
): Promise<{ bundle: ViewBundle; problems: number }> {
  const details: Record<string, ViewRunDetail> = Object.create(null);
  const problems: Record<string, Record<string, ViewProblem>> = Object.create(null);
  const images: Record<string, string> = Object.create(null);
  const runs = await folder.runs();
  const seen = new Set<string>();
  let bytes = 0;
  for (const { id: run } of runs) {
    const detail = await folder.run(run);
    const rows = detail.problems.filter(({ id }) => only.size === 0 || only.has(id));
    details[run] = { ...detail, problems: rows };
    const held: Record<string, ViewProblem> = Object.create(null);
    problems[run] = held;
    for (const { id, status } of rows) {
      seen.add(id);
      if (status === 'failed') continue;
      const problem = await folder.problem(run, id);
      held[id] = problem;
      bytes += JSON.stringify(problem).length;
      for (let at = 0; at < problem.images; at++) {
        // A picture that is gone is no reason to show nothing.
        const picture = await folder.picture(run, id, at).catch(() => null);
        if (!picture) continue;
        const url = `data:${picture.type};base64,${picture.bytes.toString('base64')}`;
        images[bundleImageKey(run, id, at)] = url;
        bytes += url.length;
      }
      if (bytes > MAX_PAGE_BYTES) throw tooBig();
    }
  }
  if (seen.size === 0 && only.size > 0) {
    throw new SteptreeError(
      'VIEW_PROBLEM_UNKNOWN',
      `no run of ${folder.dir} holds a problem ${[...only].join(', ')}`,
      { ids: [...only] },
    );
  }
  return { bundle: { runs, details, problems, images }, problems: seen.size };
}

function tooBig(): SteptreeError {
  return new SteptreeError(
    'VIEW_PAGE_TOO_BIG',
    `the page would be larger than ${MAX_PAGE_BYTES / 1e6} MB; name some problems with --problem, or a single run, or leave --html away`,
    { maxBytes: MAX_PAGE_BYTES },
  );
}

function inlined(page: BuiltPage, data: string, usesMaths: boolean): string {
  const index = textOf(page, 'index.html');
  const script = /<script[^>]*\ssrc="\.\/([^"]+)"[^>]*><\/script>/.exec(index);
  const link = /<link[^>]*rel="stylesheet"[^>]*href="\.\/([^"]+)"[^>]*>/.exec(index);
  if (!script?.[1] || !link?.[1]) throw new Error('the built page has no script or no style');
  // A closing tag inside a string would end the element.
  const code = textOf(page, script[1]).replaceAll('</script', '<\\/script');
  const style = withFonts(page, textOf(page, link[1]), usesMaths);
  const csp = [
    "default-src 'none'",
    `script-src '${hashOf(code)}'`,
    `style-src '${hashOf(style)}'`,
    'font-src data:',
    'img-src data: blob:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const head = [
    `<meta http-equiv="Content-Security-Policy" content="${csp}">`,
    `<style>${style}</style>`,
  ].join('\n');
  const body = [
    `<script type="application/json" id="steptree-data">${escapeJson(data)}</script>`,
    `<script type="module">${code}</script>`,
  ].join('\n');
  // Functions, since the texts hold `$&` and its kin.
  return index
    .replace(script[0], '')
    .replace(link[0], '')
    .replace('<meta charset="utf-8">', () => `<meta charset="utf-8">\n${head}`)
    .replace('</body>', () => `${body}\n</body>`);
}

/** JSON that stays inside its element, whatever texts it holds. */
function escapeJson(json: string): string {
  return json.replace(
    /[<\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Fonts that ordinary formulas need; the others (Fraktur, script, …) fall back to the system's. */
const USUAL_FONTS = /KaTeX_(?:Main-(?:Regular|Bold|Italic)|Math-Italic|AMS-Regular|Size\d-Regular)/;

function withFonts(page: BuiltPage, style: string, usesMaths: boolean): string {
  return style.replace(/@font-face\s*\{[^}]*\}/g, (face) => {
    const name = /url\(["']?(?:\.\/)?([^"')]+\.woff2)["']?\)/.exec(face)?.[1];
    if (name === undefined || !usesMaths || !USUAL_FONTS.test(name)) return '';
    const bytes = page.get(`assets/${name}`)?.bytes;
    if (!bytes) return '';
    return face.replace(
      /url\([^)]*\)/,
      () => `url(data:font/woff2;base64,${bytes.toString('base64')})`,
    );
  });
}

function textOf(page: BuiltPage, name: string): string {
  const file = page.get(name);
  if (!file) throw new Error(`the built page has no ${name}`);
  return file.bytes.toString('utf8');
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
