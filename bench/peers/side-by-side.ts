/** MM-PRM's label loop, search-and-learn's beam search and its_hub's best-of-N, as their authors
 *  publish them, beside Steptree, all against the same simulated server of 256 slots. See README.md here for how the
 *  peers get into PEERS_DIR, and for what was adapted.
 *
 *  `PEERS_DIR=… PEERS_PYTHON=… node dist/bench/peers/side-by-side.js [--only label,beam,best-of-n]
 *  [--lengths even|long-tail] [--label-problems 64] [--peer-label-problems 16] [--problems 30]
 *  [--n 64] [--speedup 1] [--match PART_OF_A_NAME] [--out FILE]`
 *
 *  The physics first. A loop that waits for its call of 16 rollouts keeps 16 of 256 slots busy at
 *  most; a decode step takes 10 ms + 0.06 ms per sequence, so at 256 it yields
 *  256 / 25.4 = 10.1 tokens a ms and at 16 it yields 16 / 11.0 = 1.5: 7 times, and more by as much
 *  as a call's longest rollout is longer than its mean one. At 64 (beam search, one problem at a
 *  time) it yields 64 / 13.8 = 4.6: twice, and more by longest over mean step. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { benchFacts } from '../facts.js';
import {
  OCCUPANCY_SETTINGS,
  type OccupancySettings,
  occupancyProblems,
} from '../speed/occupancy.js';
import { startJudge } from './judge.js';
import { measurePeer, type PeerResult, type PeerRun } from './measure.js';
import { LENGTHS, READ_MS_PER_TOKEN } from './settings.js';
import { compareTrees, countLabels, type TreeComparison } from './tree-comparison.js';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'label,beam,best-of-n' },
    lengths: { type: 'string', default: 'even' },
    'label-problems': { type: 'string', default: '64' },
    'peer-label-problems': { type: 'string', default: '16' },
    problems: { type: 'string', default: '30' },
    n: { type: 'string', default: '64' },
    speedup: { type: 'string', default: '1' },
    match: { type: 'string', default: '' },
    out: { type: 'string', default: '' },
  },
});
const peersDir = process.env.PEERS_DIR ?? '';
const python = process.env.PEERS_PYTHON ?? 'python3';
const adapters = fileURLToPath(new URL('../../../bench/peers/adapters/', import.meta.url));
const ours = fileURLToPath(new URL('./ours.js', import.meta.url));
const MM_PRM_SAMPLING = {
  temperature: 0.7,
  topK: 30,
  topP: 0.9,
  repetitionPenalty: 1.05,
  maxTokens: 2048,
};
const base: OccupancySettings = {
  ...OCCUPANCY_SETTINGS,
  speedup: Number(values.speedup),
  model: LENGTHS[values.lengths] ?? {},
};

const only = values.only.split(',');
const report: Record<string, unknown> = {
  bench: 'peers',
  ...benchFacts(),
  lengths: values.lengths,
};
if (only.includes('label')) report.label = await labelSide();
if (only.includes('beam')) report.beam = await beamSide();
if (only.includes('best-of-n')) report.bestOfN = await bestOfNSide();
const json = JSON.stringify(report);
if (values.out !== '') await writeFile(values.out, `${json}\n`);
process.stdout.write(`${json}\n`);

async function labelSide() {
  const folder = await mkdtemp(join(tmpdir(), 'steptree-peers-'));
  const judge = await startJudge();
  const problems = occupancyProblems(Number(values['label-problems']));
  // Sample i of a prefix is the same text for everybody, so equal loops make equal trees.
  const settings = { ...base, serverFlags: ['--seeds', 'state'] };
  const peerIn = (out: string): PeerRun['command'] => {
    return ({ url, problemsFile }) => [
      ...[python, `${adapters}mm_prm.py`, '--peer', join(peersDir, 'MM-PRM/data_pipeline')],
      ...['--problems', problemsFile, '--url', root(url)],
      ...['--judge', judge.url, '--out', out],
    ];
  };
  try {
    const peer = await show({
      name: 'MM-PRM',
      // One problem after the other: a few of them show what all of them would.
      problems: problems.slice(0, Number(values['peer-label-problems'])),
      settings,
      command: peerIn(join(folder, 'peer')),
    });
    const engine = await show({
      name: 'Steptree label',
      problems,
      settings,
      command: ({ url, problemsFile }) => [
        ...[process.execPath, ours, 'label', '--problems', problemsFile, '--url', url],
        ...['--out', join(folder, 'ours'), '--options', JSON.stringify(MM_PRM_SAMPLING)],
      ],
    });
    // Labels don't depend on time, so a server without any shows all problems'.
    const instant = { ...settings, speedup: 0 };
    const command = peerIn(join(folder, 'instant'));
    await measurePeer({ name: 'MM-PRM, instant server', problems, settings: instant, command });
    const trees = await compareTrees(join(folder, 'instant/trees'), join(folder, 'ours/trees'));
    const rates = await labelRates(folder, peer, engine);
    process.stdout.write(`${treesText(trees)}\n${JSON.stringify(rates)}\n`);
    return { runs: [peer, engine], trees, ...rates };
  } finally {
    await judge.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function labelRates(folder: string, peer: PeerResult, engine: PeerResult) {
  const peerLabels = await countLabels(join(folder, 'peer/trees'));
  const engineLabels = await countLabels(join(folder, 'ours/trees'));
  const perHour = (labels: number, seconds: number) => (3600 * labels) / seconds;
  const peerRate = perHour(peerLabels, peer.wallSeconds);
  const engineRate = perHour(engineLabels, engine.wallSeconds);
  // As if the peer's client, and its judge, took no time at all.
  const freeSeconds = (peer.client.policySeconds ?? 0) * peer.speedup;
  return {
    peerLabelsPerHour: peerRate,
    engineLabelsPerHour: engineRate,
    ratio: engineRate / peerRate,
    ratioWithFreePeerClient: engineRate / perHour(peerLabels, freeSeconds),
  };
}

async function beamSide() {
  const planned: PeerRun[] = [];
  for (const device of ['shared', 'own']) {
    const where = device === 'own' ? ', reward model on its own GPU' : '';
    const pooled = { prmKind: 'pooling', n: Number(values.n) };
    planned.push(steptreeBeam(`Steptree beam, same scoring${where}`, device, pooled));
    const stepwise = { prmKind: 'token-logits', n: Number(values.n) };
    planned.push(steptreeBeam(`Steptree beam, step by step${where}`, device, stepwise));
  }
  // A GPU more would not help it: it samples and scores in turn.
  planned.push(searchAndLearn('search-and-learn, lookahead 0', 0));
  // The recipe's default looks one greedy step ahead, yet scores without it.
  planned.push(searchAndLearn('search-and-learn as published', 1));
  return { runs: await showAll(planned) };
}

function searchAndLearn(name: string, lookahead: number): PeerRun {
  return {
    name,
    problems: occupancyProblems(Number(values.problems)),
    settings: scoring('shared'),
    command: ({ url, problemsFile }) => [
      ...[python, `${adapters}search_and_learn.py`],
      ...['--peer', join(peersDir, 'search-and-learn/src'), '--problems', problemsFile],
      ...['--url', root(url), '--n', values.n, '--lookahead', String(lookahead)],
    ],
  };
}

function steptreeBeam(name: string, device: string, options: Record<string, unknown>): PeerRun {
  return steptreeSolve(name, device, {
    strategy: 'beam',
    beamWidth: 4,
    temperature: 0.8,
    maxTokens: 2048,
    ...options,
  });
}

async function bestOfNSide() {
  const peer = (name: string, mode: string): PeerRun => ({
    name,
    problems: occupancyProblems(Number(values.problems)),
    settings: scoring('shared'),
    command: ({ url, problemsFile }) => [
      ...[python, `${adapters}its_hub_bon.py`, '--problems', problemsFile],
      ...['--url', root(url), '--n', '16', '--mode', mode],
    ],
  });
  const engine = steptreeSolve('Steptree best-of-n', 'shared', {
    strategy: 'best-of-n',
    n: 16,
    samplesPerRound: 16,
    prmKind: 'pooling',
  });
  const runs = await showAll([
    peer('its_hub, problem by problem', 'infer'),
    peer('its_hub, all problems gathered', 'gather'),
    engine,
  ]);
  return { runs };
}

function steptreeSolve(name: string, device: string, options: Record<string, unknown>): PeerRun {
  return {
    name,
    problems: occupancyProblems(Number(values.problems)),
    settings: scoring(device),
    command: ({ url, problemsFile }) => [
      ...[process.execPath, ours, 'solve', '--problems', problemsFile, '--url', url],
      ...['--options', JSON.stringify(options)],
    ],
  };
}

function scoring(device: string): OccupancySettings {
  const serverFlags = [
    ...['--seeds', 'server', '--read-ms-per-token', String(READ_MS_PER_TOKEN)],
    ...['--read-device', device],
  ];
  return { ...base, serverFlags };
}

/** One after the other, those whose names contain `--match`. */
async function showAll(runs: readonly PeerRun[]): Promise<PeerResult[]> {
  const results: PeerResult[] = [];
  for (const run of runs) if (run.name.includes(values.match)) results.push(await show(run));
  return results;
}

async function show(run: PeerRun): Promise<PeerResult> {
  const result = await measurePeer(run);
  const cells = [
    result.name,
    String(result.problems),
    result.rollouts.toLocaleString('en'),
    result.policyTokens.toLocaleString('en'),
    result.readTokens.toLocaleString('en'),
    `${result.wallSeconds.toFixed(1)} s`,
    `${(100 * result.occupancy).toFixed(1)} %`,
    `${result.clientCpuMsPerRollout.toFixed(3)} ms`,
  ];
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
  return result;
}

function treesText({ trees, equalTrees, differing, labels, sharedLabels }: TreeComparison): string {
  return `${equalTrees} of ${trees} trees equal (not: ${differing.join(', ') || '-'}), ${sharedLabels} of ${labels[0]} and ${labels[1]} labels`;
}

/** The peers' adapters name the routes themselves. */
function root(url: string): string {
  return url.replace(/\/v1$/, '');
}
