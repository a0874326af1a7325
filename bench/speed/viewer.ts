import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { CDPSession, Page } from 'playwright-core';
import { listen } from '../../src/cli/view.js';
import { openBrowser } from '../browser.js';
import { benchFacts } from '../facts.js';
import { syntheticTree, writeRun } from './synthetic-run.js';

/** What a frame of the viewer costs on a large tree, in headless Chromium without a graphics card: a
 *  synthetic tree is opened, zoomed, panned whole and at reading size, hovered, searched and replayed.
 *  Per gesture: the main thread's CPU time per frame (which other processes don't stretch; canvas
 *  drawing without a card is in it), and the time from frame to frame as a person sees it.
 *
 *  The floor is 16.7 ms from frame to frame, the screen's rate.
 *
 *  Usage: node dist/bench/speed/viewer.js [--states 10000] [--frames 120] */
interface Gesture {
  readonly name: string;
  /** Runs in the page for every frame: a canvas, the frame's number, its place on the page. */
  readonly step: string;
  readonly before?: (page: Page) => Promise<void>;
}

const MOUSE = `(type, x, y, buttons = 1) => canvas.dispatchEvent(new PointerEvent(type, {
  pointerId: 1, pointerType: 'mouse', button: 0, buttons, bubbles: true, clientX: x, clientY: y }))`;

const fitAll = (page: Page) => page.keyboard.press('f');

const GESTURES: readonly Gesture[] = [
  {
    name: 'zoom in and out of the whole tree',
    before: fitAll,
    step: `canvas.dispatchEvent(new WheelEvent('wheel', { deltaY: i % 60 < 30 ? -60 : 60, bubbles: true,
      cancelable: true, clientX: box.x + 500, clientY: box.y + 300 }))`,
  },
  {
    name: 'drag the whole tree',
    before: fitAll,
    step: `const mouse = ${MOUSE}; canvas.setPointerCapture = () => {};
      if (i === 0) mouse('pointerdown', box.x + 300, box.y + 300);
      mouse('pointermove', box.x + 300 + 100 * Math.sin(i / 8), box.y + 300 + 200 * Math.cos(i / 8));
      if (i === last) mouse('pointercancel', box.x + 300, box.y + 300);`,
  },
  {
    name: 'drag at reading size',
    before: async (page) => {
      await page.keyboard.press('Home');
      for (let i = 0; i < 40; i++) await page.keyboard.press('+');
    },
    step: `const mouse = ${MOUSE};
      if (i === 0) mouse('pointerdown', box.x + 600, box.y + 300);
      mouse('pointermove', box.x + 600 - 8 * i, box.y + 300 + 12 * i);
      if (i === last) mouse('pointercancel', box.x, box.y);`,
  },
  {
    name: 'hover over the whole tree',
    before: fitAll,
    step: `const mouse = ${MOUSE};
      mouse('pointermove', box.x + 40 + 5 * i, box.y + 60 + 4 * i, 0);`,
  },
  {
    name: 'replay of the growth',
    before: async (page) => {
      await fitAll(page);
      await page.click('text=Replay');
    },
    step: '',
  },
];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      states: { type: 'string', default: '10000' },
      frames: { type: 'string', default: '120' },
    },
  });
  const states = Number(values.states);
  const dir = mkdtempSync(join(tmpdir(), 'steptree-viewer-bench-'));
  writeRun(dir, [syntheticTree('big', states)]);
  const app = await listen(dir, {}, 0);
  const { port } = app.server.address() as { port: number };
  const { browser, close } = await openBrowser({ width: 1440, height: 900 });
  try {
    const page = await browser.newPage();
    const started = performance.now();
    await page.goto(`http://127.0.0.1:${port}/ui/#/tree?run=.&problem=big`);
    await page.waitForSelector('.states');
    const openMs = Math.round(performance.now() - started);
    process.stdout.write(`opened ${states} states in ${openMs} ms\n`);
    const session = await browser.newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    const gestures = [];
    for (const gesture of GESTURES) {
      const measured = await measure(page, session, gesture, Number(values.frames));
      const { cpuMs, frameMs } = measured;
      process.stdout.write(
        `${gesture.name.padEnd(36)} CPU ${cpuMs.toFixed(1).padStart(5)} ms a frame; ` +
          `frame to frame median ${frameMs.median}, 95 % ${frameMs.p95}, most ${frameMs.most} ms\n`,
      );
      gestures.push({ gesture: gesture.name, ...measured });
    }
    const facts = { bench: 'viewer', ...benchFacts(), states, openMs, gestures };
    process.stdout.write(`${JSON.stringify(facts)}\n`);
  } finally {
    await close();
    app.server.closeAllConnections();
    await app.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function measure(page: Page, session: CDPSession, gesture: Gesture, frames: number) {
  await gesture.before?.(page);
  await page.waitForTimeout(500);
  const before = await cpuSeconds(session);
  // As a text, since the compiler knows no page here.
  const deltas = (await page.evaluate(`(async () => {
    const canvas = document.querySelector('.tree-canvas canvas');
    const box = canvas.getBoundingClientRect();
    const last = ${frames - 1};
    const deltas = [];
    let before = 0;
    for (let i = 0; i <= last; i++) {
      { ${gesture.step} }
      await new Promise((next) => requestAnimationFrame((now) => {
        if (before) deltas.push(now - before);
        before = now;
        next();
      }));
    }
    return deltas;
  })()`)) as number[];
  const cpuMs = (1000 * ((await cpuSeconds(session)) - before)) / frames;
  deltas.sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(10 * (deltas[Math.min(deltas.length - 1, Math.floor(share * deltas.length))] ?? 0)) /
    10;
  return {
    cpuMs: Math.round(cpuMs * 100) / 100,
    frameMs: { median: at(0.5), p95: at(0.95), most: at(1) },
  };
}

async function cpuSeconds(session: CDPSession): Promise<number> {
  const { metrics } = await session.send('Performance.getMetrics');
  return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0;
}

await main();
