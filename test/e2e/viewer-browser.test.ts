import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { FastifyInstance } from 'fastify';
import type { BrowserContext, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hasChromium, openBrowser } from '../../bench/browser.js';
import { syntheticTree, writeRun } from '../../bench/speed/synthetic-run.js';
import type { TreeJson } from '../../search/labels/tree-json.js';
import { listen } from '../../src/cli/view.js';
import { readBuiltPage } from '../../src/server/view-built.js';
import { ViewFolder } from '../../src/server/view-folder.js';
import { selfContainedPage } from '../../src/server/view-html.js';
import { temporaryFolder } from '../support/cli.js';
import { state, treeOf } from '../web/trees.js';

const dir = temporaryFolder();
const HOSTILE =
  '<img src=x onerror="document.title=`hacked`"><script>document.title="hacked"</script>';

const BIG = syntheticTree('big', 10_000);

let app: FastifyInstance;
let base: string;
let browser: BrowserContext;
let closeBrowser: () => Promise<void>;
let page: Page;
let complaints: string[];

describe.skipIf(!hasChromium)('the viewer in Chromium', () => {
  beforeAll(async () => {
    writeRuns();
    app = await listen(dir, { page: readBuiltPage('dist/web') }, 0);
    base = `http://127.0.0.1:${(app.server.address() as { port: number }).port}/ui/`;
    const opened = await openBrowser();
    browser = opened.browser;
    closeBrowser = opened.close;
  });
  afterAll(async () => {
    await closeBrowser?.();
    await app?.close();
  });
  beforeEach(async () => {
    page = await browser.newPage();
    complaints = [];
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
  });
  afterEach(async () => {
    await page.close();
    // Also what the content security policy blocked would stand here.
    expect(complaints).toEqual([]);
  });

  it('leads from the list of runs over filters to a tree', async () => {
    await page.goto(base);
    await page.click('a:text-is("first")');
    await page.waitForSelector('td.id a');
    expect(await ids()).toEqual(['hand', 'mixed', 'right']);
    await page.click('button:has-text("All right")');
    expect(await ids()).toEqual(['right']);
    await page.click('button:has-text("Failed")');
    expect(await page.textContent('tbody')).toContain('POLICY_DOWN');
    await page.click('button:has-text("All right")');
    await page.click('td.id a');
    await page.waitForSelector('.state-panel');
    expect(await page.textContent('.problem-side')).toContain('Gold answer');
    await page.goBack();
    await page.waitForSelector('td.id a');
    // The filter stands in the address.
    expect(await ids()).toEqual(['right']);
  });

  it('walks by the keyboard, and searches', async () => {
    await page.goto(`${base}#/tree?run=first&problem=hand`);
    await page.waitForSelector('.state-panel');
    const at = () => page.textContent('.state-panel h2');
    await page.keyboard.press('ArrowRight');
    expect(await at()).toContain('State 1');
    await page.keyboard.press('ArrowDown');
    expect(await at()).toContain('State 3');
    await page.keyboard.press('ArrowRight');
    expect(await at()).toContain('State 4');
    await page.keyboard.press('ArrowUp');
    expect(await at()).toContain('State 2');
    await page.keyboard.press('Home');
    expect(await at()).toContain('Question');
    await page.keyboard.press('/');
    await page.keyboard.type('seven');
    expect(await page.textContent('.found')).toBe('1 found');
    await page.keyboard.press('Enter');
    expect(await at()).toContain('State 4');
    expect(page.url()).toContain('state=4');
  });

  it('folds what is below a state, and unfolds what is looked for', async () => {
    await page.goto(`${base}#/tree?run=first&problem=hand`);
    await page.waitForSelector('.state-panel');
    const showsStates = (text: string) => page.waitForSelector(`.states:text-is("${text}")`);
    await showsStates('5 states');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Space');
    await showsStates('4 of 5 states');
    await page.click('button:text-is("Unfold")');
    await showsStates('5 states');
    await page.click('button:text-is("Fold")');
    await page.keyboard.press('/');
    await page.keyboard.type('seven');
    await page.keyboard.press('Enter');
    expect(await page.textContent('.state-panel h2')).toContain('State 4');
    await showsStates('5 states');
    expect(await page.isDisabled('button:text-is("Fold")')).toBe(true);
  });

  it('draws the tree, selects what is clicked, and tells of what is under the mouse', async () => {
    await page.goto(`${base}#/tree?run=first&problem=hand`);
    const canvas = page.locator('.tree-canvas canvas');
    await canvas.waitFor();
    await page.waitForTimeout(300);
    const colours = await colourCount(await canvas.screenshot());
    // Text alone has shades of one colour; the scale's orange and blue are there.
    expect(colours.orange).toBeGreaterThan(20);
    expect(colours.blue).toBeGreaterThan(20);
    // Five states in three columns: the first child stands above the middle.
    const box = (await canvas.boundingBox()) as {
      x: number;
      y: number;
      width: number;
      height: number;
    };
    const find = async () => {
      for (let y = 10; y < box.height; y += 12) {
        await page.mouse.move(box.x + 290, box.y + y);
        if (await page.locator('.tooltip').count()) return y;
      }
      return null;
    };
    const y = (await find()) as number;
    expect(await page.textContent('.tooltip')).toContain('0.25');
    await page.mouse.click(box.x + 290, box.y + y);
    expect(await page.textContent('.state-panel h2')).toContain('State 1');
  });

  it('shows texts of models as texts, and formulas as formulas', async () => {
    await page.goto(`${base}#/tree?run=first&problem=hand&state=2`);
    await page.waitForSelector('.state-panel .katex');
    expect(await page.textContent('.question')).toContain(HOSTILE);
    expect(await page.locator('.way img, .question img, .state-panel script').count()).toBe(0);
    expect(await page.title()).toBe('Steptree');
    expect(await page.locator('a[href^="javascript"]').count()).toBe(0);
  });

  it('replays the growth', async () => {
    await page.goto(`${base}#/tree?run=second&problem=mixed`);
    await page.waitForSelector('.growth');
    await page.locator('.growth input').fill('3');
    expect(await page.textContent('.growth-text')).toContain('3 / 199');
    await page.click('text=Replay');
    const shown = async () => Number.parseInt((await page.textContent('.growth-text')) ?? '', 10);
    await expect.poll(shown, { timeout: 20_000 }).toBeGreaterThan(20);
  });

  it('puts two runs side by side, and selects the same state in both', async () => {
    await page.goto(`${base}#/compare?a=first&b=second`);
    await page.click('td.id a:text-is("hand")');
    await page.waitForSelector('.half >> nth=1');
    const canvas = page.locator('.half >> nth=0 >> canvas');
    await canvas.click({ position: { x: 5, y: 5 } });
    await page.keyboard.press('ArrowRight');
    const titles = await page.locator('.half .state-panel h2').allTextContents();
    expect(titles).toEqual([
      expect.stringContaining('State 1'),
      expect.stringContaining('State 1'),
    ]);
  });

  it('follows a run under way', async () => {
    const run = join(dir, 'live');
    const problems = { done: 1, failed: 0, total: 4 };
    writeRun(run, [syntheticTree('one', 3)], { status: 'running', problems });
    writeFileSync(join(run, 'run.lock'), `${process.pid}\n`);
    await page.goto(`${base}#/run?run=live`);
    await page.waitForSelector('.badge.running');
    expect(await page.textContent('.badge.running')).toContain('25 %');
    writeRun(run, [syntheticTree('two', 3)], {
      status: 'done',
      problems: { done: 4, failed: 0, total: 4 },
    });
    utimesSync(join(run, 'trees'), new Date(), new Date(Date.now() + 5_000));
    await page.waitForSelector('.badge.done');
    expect(await ids()).toEqual(['one', 'two']);
  });

  it('fits a phone', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    for (const place of [
      '#/',
      '#/run?run=first',
      '#/tree?run=first&problem=hand&state=2',
      '#/compare?a=first&b=second&problem=hand',
    ]) {
      await page.goto('about:blank');
      await page.goto(`${base}${place}`);
      await page.waitForSelector('table, canvas');
      const width = await page.evaluate('document.documentElement.scrollWidth');
      expect([place, width]).toEqual([place, 390]);
    }
  });

  it('follows the choice of light and dark', async () => {
    await page.goto(`${base}#/tree?run=first&problem=hand`);
    const canvas = page.locator('.tree-canvas canvas');
    await canvas.waitFor();
    const shades: number[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(200);
      const { channels } = await sharp(await canvas.screenshot()).stats();
      shades.push(channels[0]?.mean ?? 0);
    }
    expect(shades[0]).toBeGreaterThan(200);
    expect(shades[1]).toBeLessThan(60);
  });

  it('opens ten thousand states and walks among them', async () => {
    await page.goto(`${base}#/tree?run=big&problem=big`);
    await page.waitForSelector('.states:text-is("10,000 states")');
    // Down the first children to their end; keys come faster than frames.
    let depth = 0;
    for (let at = BIG.children[0]; at; at = at.children[0]) depth++;
    for (let i = 0; i < depth; i++) await page.keyboard.press('ArrowRight');
    expect(depth).toBeGreaterThan(4);
    expect(await page.textContent('.state-panel h2')).toContain(`depth ${depth}`);
  });

  it('works as a file without a server', async () => {
    const file = join(dir, 'page.html');
    const { html } = await selfContainedPage(
      new ViewFolder(dir),
      ['hand'],
      readBuiltPage('dist/web'),
    );
    writeFileSync(file, html);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(`${pathToFileURL(file)}#/tree?run=first&problem=hand&state=2`);
    await page.waitForSelector('.state-panel .katex');
    expect(await page.textContent('.question')).toContain(HOSTILE);
    expect(await page.title()).toBe('Steptree');
    expect(asked.filter((url) => !/^(?:file|data|blob):/.test(url))).toEqual([]);
  });

  it('solves in the playground where a service offers it', async () => {
    const { close, url, asked } = await startService();
    await page.goto(`${url}#/`);
    await page.click('nav a:text-is("Playground")');
    await page.setInputFiles('input[type=file]', {
      name: 'dot.png',
      mimeType: 'image/png',
      buffer: await sharp({ create: { width: 4, height: 4, channels: 3, background: 'red' } })
        .png()
        .toBuffer(),
    });
    await page.waitForSelector('img.preview');
    await page.fill('textarea', 'How many dots?');
    await page.selectOption('.ask select', 'steptree/best-of-n');
    await page.click('text=Solve');
    await page.waitForSelector('tr.chosen');
    expect(await page.textContent('.answer-text')).toBe('One dot.\n\nAnswer: 1');
    expect(await page.textContent('.states')).toBe('4 states');
    expect(asked[0]).toMatchObject({
      model: 'steptree/best-of-n',
      stream: true,
      steptree: { n: 8 },
      messages: [
        {
          role: 'user',
          content: [{ type: 'image_url' }, { type: 'text', text: 'How many dots?' }],
        },
      ],
    });
    await close();
  });

  it('asks for the key of a service that wants one, and sends it with every request', async () => {
    const { close, url } = await startService('sk-secret');
    await page.goto(`${url}#/tree?run=first&problem=hand`);
    await page.fill('input[type=password]', 'sk-secret');
    await page.click('text=Use it');
    await page.waitForSelector('.state-panel');
    await page.waitForSelector('nav a:text-is("Playground")');
    await close();
    // Until the key was there the browser told of each refusal.
    expect(complaints.every((text) => text.includes('401'))).toBe(true);
    complaints = [];
  });
});

async function ids(): Promise<string[]> {
  return page.locator('td.id a').allTextContents();
}

async function colourCount(png: Buffer): Promise<{ orange: number; blue: number }> {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  let [orange, blue] = [0, 0];
  for (let at = 0; at < data.length; at += info.channels) {
    const [r = 0, , b = 0] = [data[at], data[at + 1], data[at + 2]];
    if (r - b > 80) orange++;
    if (b - r > 80) blue++;
  }
  return { orange, blue };
}

function writeRuns(): void {
  const failed = [{ id: 'gone', code: 'POLICY_DOWN', message: 'the server is gone' }];
  const right = syntheticTree('right', 3);
  writeRun(
    join(dir, 'first'),
    [handTree(), syntheticTree('mixed', 20), { ...right, mc_value: 1 }],
    {},
    failed,
  );
  writeRun(join(dir, 'second'), [handTree(), syntheticTree('mixed', 200)]);
  writeRun(join(dir, 'big'), [BIG]);
  mkdirSync(join(dir, 'empty'));
}

/** 0 question, 1 low, 2 with a formula, 3 high, 4 "seven". */
function handTree(): TreeJson {
  const formula = `So $\\frac{1}{2}$ and $\\href{javascript:alert(1)}{x}$ ${HOSTILE}`;
  return treeOf({ id: 'hand', question: `How many? ${HOSTILE}`, method: 'step-rollouts' }, [
    state(['first step'], 1, 4, [state([formula], 0, 4)]),
    state(['second step'], 4, 4, [state(['it is seven'], 4, 4)]),
  ]);
}

/** What the page asks of a service, with answers made beforehand. */
async function startService(key?: string) {
  const asked: object[] = [];
  const node = (id: number, parent: number, text: string) => {
    return {
      id,
      parent,
      text,
      samples: 1,
      score: 0.5,
      outcome: null,
      finish: parent < 0 ? null : 'end',
    };
  };
  const candidate = {
    steps: ['One dot.', 'Answer: 1'],
    answer: '1',
    score: 0.9,
    stepScores: [0.9, 0.9],
  };
  const trace = {
    id: 't1',
    status: 'done',
    strategy: 'best-of-n',
    problem: { question: 'How many dots?', images: [] },
    tree: { nodes: [node(0, -1, 'One dot.'), node(1, 0, 'Answer: 1'), node(2, 0, 'Answer: 2')] },
    usage: { rollouts: 2, policyTokens: 9 },
    elapsedMs: 5,
    error: null,
    result: {
      strategy: 'best-of-n',
      answer: '1',
      chosen: 0,
      candidates: [candidate],
      votes: [{ answer: '1', votes: 1, weight: 0.9 }],
      stopped: 'done',
      warnings: [],
    },
  };
  const { default: Fastify } = await import('fastify');
  const { registerViewer } = await import('../../src/server/view.js');
  const service = Fastify();
  service.addHook('onRequest', async ({ headers, url }, reply) => {
    if (key === undefined || url.startsWith('/ui') || headers.authorization === `Bearer ${key}`)
      return;
    return reply.code(401).send({ error: { code: 'SERVE_KEY_WRONG', message: 'a key is needed' } });
  });
  service.get('/v1/models', () => ({
    data: [{ id: 'steptree/greedy' }, { id: 'steptree/best-of-n' }],
  }));
  service.get('/v1/traces', () => ({ traces: [] }));
  service.get('/v1/traces/t1', () => trace);
  service.get('/v1/traces/t1/events', (_, reply) =>
    reply.type('text/event-stream').send(
      [
        ['snapshot', { ...trace, status: 'running', tree: { nodes: [] }, result: null }],
        ['nodes', { nodes: trace.tree.nodes.slice(0, 2) }],
        ['end', { status: 'done' }],
      ]
        .map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
        .join(''),
    ),
  );
  service.post('/v1/chat/completions', (request, reply) => {
    asked.push(request.body as object);
    const deltas = ['One dot.', '\n\nAnswer: 1'].map((content) => ({
      choices: [{ delta: { content } }],
    }));
    const events = [...deltas.map((one) => JSON.stringify(one)), '[DONE]'];
    return reply
      .header('x-steptree-trace', 't1')
      .type('text/event-stream')
      .send(`: progress {}\n\n${events.map((data) => `data: ${data}\n\n`).join('')}`);
  });
  await service.register(registerViewer, { dir, page: readBuiltPage('dist/web') });
  const url = await service.listen({ port: 0, host: '127.0.0.1' });
  return {
    url: `${url}/ui/`,
    asked,
    close: async () => {
      // What the page still asks for would fail, and be told of.
      await page.goto('about:blank');
      service.server.closeAllConnections();
      await service.close();
    },
  };
}
