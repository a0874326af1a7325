/** How full does each way of labelling keep a batching server of 256 slots?
 *
 *  `node dist/bench/speed/server-occupancy.js [--problems 64] [--reference-problems 4]
 *  [--speedup 8] [--reference-speedup 16] [--slots 256] [--replicas 1]`; `--reference-problems 0`
 *  leaves the reference out
 *
 *  The physics first: a call of 16 rollouts lasts as long as its longest one and holds 16 slots
 *  only at its start. With solutions of evenly spread length it holds about 16 · mean / longest,
 *  9 or 10 of them: 4 % of 256. Only many problems at once can do better, and the bound is then
 *  the end of the work, when fewer rollouts are left than there are slots. */
import { parseArgs } from 'node:util';
import { createOpenAiPolicy, openaiOptions } from '../../src/policy/openai/index.js';
import { createSplitter } from '../../src/policy/splitter.js';
import { benchFacts } from '../facts.js';
import {
  measureOccupancy,
  OCCUPANCY_SETTINGS,
  type Occupancy,
  occupancyProblems,
  occupancyTable,
  type RunProblems,
} from './occupancy.js';
import { referenceLoop } from './reference-loop.js';
import { wholeLabel } from './whole-label.js';

/** MM-PRM's loop over our own HTTP client: what differs is the loop alone. */
const runReference: RunProblems = async (problems, { url }) => {
  const policy = await createOpenAiPolicy([url], openaiOptions.parse({}), {
    splitter: createSplitter('blank-line'),
  });
  try {
    await referenceLoop(problems, policy);
  } finally {
    await policy.close();
  }
};

const runEngine: RunProblems = (_problems, server) => wholeLabel(server);

const { values } = parseArgs({
  options: {
    problems: { type: 'string', default: '64' },
    'reference-problems': { type: 'string', default: '4' },
    'reference-speedup': { type: 'string', default: '16' },
    speedup: { type: 'string', default: String(OCCUPANCY_SETTINGS.speedup) },
    slots: { type: 'string', default: String(OCCUPANCY_SETTINGS.slots) },
    replicas: { type: 'string', default: '1' },
  },
});
const settings = {
  ...OCCUPANCY_SETTINGS,
  speedup: Number(values.speedup),
  slots: Number(values.slots),
  replicas: Number(values.replicas),
};
const problems = occupancyProblems(Number(values.problems));
// The loop takes its problems one by one, so a few of them show what all of them would.
const few = problems.slice(0, Number(values['reference-problems']));
const rows: Occupancy[] = [];
if (few.length > 0) {
  rows.push(
    await measureOccupancy('reference loop', few, runReference, {
      ...settings,
      replicas: 1,
      // So little happens at a time that its clock may run faster.
      speedup: Number(values['reference-speedup']),
    }),
  );
}
rows.push(await measureOccupancy('steptree label', problems, runEngine, settings));
process.stdout.write(`${occupancyTable(rows)}\n`);
process.stdout.write(
  `${JSON.stringify({ bench: 'server-occupancy', ...benchFacts(), ...settings, runs: rows })}\n`,
);
