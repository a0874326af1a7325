import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { syntheticTree, writeRun } from '../../bench/speed/synthetic-run.js';
import type { BuiltPage } from '../../src/server/view-built.js';
import { ViewFolder } from '../../src/server/view-folder.js';
import { selfContainedPage } from '../../src/server/view-html.js';
import type { ViewBundle } from '../../src/server/view-types.js';

const file = (type: string, text: string) => ({ type, bytes: Buffer.from(text) });
const FACE = (name: string) =>
  `@font-face{font-family:${name};src:url(./KaTeX_${name}-1.woff2) format("woff2")}`;

const PAGE: BuiltPage = new Map([
  [
    'index.html',
    file(
      'text/html',
      '<!doctype html><head><meta charset="utf-8"><script type="module" crossorigin src="./assets/a.js"></script><link rel="stylesheet" crossorigin href="./assets/a.css"></head><body><div></div></body>',
    ),
  ],
  ['assets/a.js', file('text/javascript', 'const s = "</script>$&"; s;')],
  ['assets/a.css', file('text/css', `${FACE('Main-Regular')}${FACE('Fraktur-Bold')}p{color:red}`)],
  ['assets/KaTeX_Main-Regular-1.woff2', file('font/woff2', 'FONT')],
  ['assets/KaTeX_Fraktur-Bold-1.woff2', file('font/woff2', 'RARE')],
]);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'steptree-html-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('holds all runs and problems, and refers to nothing outside', async () => {
  const hostile = '</script><script>alert(1)</script><!-- \u2028';
  writeRun(join(dir, 'one'), [syntheticTree('a', 3, { question: hostile }), syntheticTree('b', 3)]);
  writeRun(join(dir, 'two'), [syntheticTree('a', 4)]);
  const { html, runs, problems } = await selfContainedPage(new ViewFolder(dir), [], PAGE);
  expect([runs, problems]).toEqual([2, 2]);
  expect(html).not.toMatch(/(?:src|href)="\.\//);
  expect(html).not.toContain('alert(1)</script>');
  const bundle = bundleOf(html);
  expect(bundle.problems.one?.a?.question).toBe(hostile);
  expect(Object.keys(bundle.problems.two ?? {})).toEqual(['a']);
});

it('allows by its policy exactly the script and the style that it holds', async () => {
  writeRun(join(dir, 'one'), [syntheticTree('a', 3)]);
  const { html } = await selfContainedPage(new ViewFolder(dir), [], PAGE);
  const script = /<script type="module">([\s\S]*?)<\/script>/.exec(html)?.[1] ?? '';
  const style = /<style>([\s\S]*?)<\/style>/.exec(html)?.[1] ?? '';
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const policy = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(html)?.[1];
  expect(policy).toContain(`script-src ${hash(script)};`);
  expect(policy).toContain(`style-src ${hash(style)};`);
  expect(policy).toContain("default-src 'none'");
  expect(script).toBe('const s = "<\\/script>$&"; s;');
});

it('holds the fonts of formulas only where there are some, and only the usual ones', async () => {
  const plain = { question: 'What?' };
  const tree = syntheticTree('a', 1, plain);
  writeRun(join(dir, 'one'), [tree]);
  const without = await selfContainedPage(new ViewFolder(dir), [], PAGE);
  expect(without.html).not.toContain('@font-face');
  writeRun(join(dir, 'one'), [{ ...tree, question: 'What is $x$?' }]);
  const { html } = await selfContainedPage(new ViewFolder(dir), [], PAGE);
  expect(html).toContain(`url(data:font/woff2;base64,${Buffer.from('FONT').toString('base64')})`);
  expect(html).not.toContain('Fraktur');
});

it('takes the named problems only, and says if there is none', async () => {
  writeRun(join(dir, 'one'), [syntheticTree('a', 3), syntheticTree('b', 3)]);
  const folder = new ViewFolder(dir);
  const { html } = await selfContainedPage(folder, ['b'], PAGE);
  expect(Object.keys(bundleOf(html).problems.one ?? {})).toEqual(['b']);
  await expect(selfContainedPage(folder, ['z'], PAGE)).rejects.toMatchObject({
    code: 'VIEW_PROBLEM_UNKNOWN',
  });
});

function bundleOf(html: string): ViewBundle {
  const json = /<script type="application\/json" id="steptree-data">([\s\S]*?)<\/script>/.exec(
    html,
  )?.[1];
  return JSON.parse(json ?? 'null') as ViewBundle;
}
