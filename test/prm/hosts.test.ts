import { afterAll, beforeAll } from 'vitest';
import type { Scorer } from '../../prm/index.js';
import type { AnswerGrouper, Problem, ScoreRequest } from '../../search/types.js';
import { createScorer, type ScorerContext, scorerSettings } from '../../src/scorer/index.js';
import { announcesAnswer } from '../../src/verify/index.js';
import type { ScriptedServer } from '../policy/openai/scripted-server.js';
import { fakePolicy, lastStepVerifier } from '../support/fakes.js';
import { scorerContract } from './contract.js';
import { toyMarkerModel } from './toy-marker-model.js';
import { startToyServer } from './toy-server.js';

const picture = 'data:image/png;base64,iVBORw0KGgo=';
const problem: Problem = {
  id: 'p1',
  question: 'How many?',
  images: [{ source: picture, location: picture }],
  answer: '42',
};
const request: ScoreRequest = {
  problem,
  paths: [
    ['count p=0.9', 'add p=0.4', 'Answer: 42 p=0.7'],
    ['guess p=0.2'],
    ['count p=0.9', 'add p=0.6'],
  ],
};

/** The answer is what stands behind "Answer:"; equal strings are equal answers. */
export const stringGrouper: AnswerGrouper = {
  async group(_, solutions) {
    const answers = solutions.map((steps) => /Answer: (\w+)/.exec(steps.at(-1) ?? '')?.[1] ?? null);
    const order = [...new Set(answers.filter((answer) => answer !== null))];
    return {
      answers,
      groups: answers.map((answer) => (answer === null ? -1 : order.indexOf(answer))),
    };
  },
};

/** From a prefix, rollout i is right if i is below ten times the prefix's last chance. */
const policy = fakePolicy((prefix, index) => {
  const chance = Number(/p=(\d\.\d)/.exec(prefix.at(-1) ?? '')?.[1] ?? 0);
  return [index < Math.round(10 * chance) ? 'Answer: 42' : 'Answer: 41'];
});

let server: ScriptedServer;
let silent: ScriptedServer;
beforeAll(async () => {
  server = await startToyServer();
  // It reads requests and never answers.
  silent = await startToyServer(() => undefined);
});
afterAll(() => Promise.all([server.close(), silent.close()]));

const context: ScorerContext = {
  env: {},
  grouper: stringGrouper,
  openMarkerModel: async () => toyMarkerModel(),
  rollouts: {
    policy,
    verifier: lastStepVerifier,
    sampling: {
      temperature: 1,
      topK: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      maxTokens: 10,
    },
    announces: (_, steps) => announcesAnswer(steps, []),
  },
};

const open = (url: string, given: Record<string, unknown>): Promise<Scorer> =>
  createScorer(scorerSettings({ prm: url, prmModel: 'm', prmMaxRetries: 0, ...given }), context);

const remote: readonly [string, Record<string, unknown>, 'steps' | 'outcome'][] = [
  ['token-logits, a token a step', { prmKind: 'token-logits' }, 'steps'],
  ['token-logits in one pass', { prmKind: 'token-logits', prmMode: 'prompt-logprobs' }, 'steps'],
  ['token-logits of VisualPRM', { prmKind: 'token-logits', prmTemplate: 'visualprm' }, 'steps'],
  [
    'token-logits of VL-PRM in one pass',
    { prmKind: 'token-logits', prmTemplate: 'vl-prm', prmMode: 'prompt-logprobs' },
    'steps',
  ],
  ['pooling of Qwen2.5-Math-PRM', { prmKind: 'pooling' }, 'steps'],
  ['pooling of Math-Shepherd', { prmKind: 'pooling', poolingTemplate: 'math-shepherd' }, 'steps'],
  ['pooling of a value head', { prmKind: 'pooling', poolingTemplate: 'skywork' }, 'steps'],
  ['critic', { prmKind: 'critic' }, 'steps'],
  ['outcome by tokens', { prmKind: 'outcome' }, 'outcome'],
  [
    'outcome by pooling',
    { prmKind: 'outcome', outcomeRoute: 'pooling', outcomeActivation: 'sigmoid' },
    'outcome',
  ],
  ['outcome by classify', { prmKind: 'outcome', outcomeRoute: 'classify' }, 'outcome'],
  ['outcome by score', { prmKind: 'outcome', outcomeRoute: 'score' }, 'outcome'],
  [
    'outcome by label-score',
    { prmKind: 'outcome', outcomeRoute: 'label-score', outcomeLabelIds: [1, 2] },
    'outcome',
  ],
  ['pairwise', { prmKind: 'pairwise' }, 'outcome'],
  ['hybrid of steps', { prmKind: 'hybrid', hybridParts: ['1:pooling', '3:critic'] }, 'steps'],
];
for (const [name, given, scores] of remote) {
  scorerContract(name, {
    open: () => open(server.url, given),
    openSlow: () => open(silent.url, given),
    request,
    scores,
  });
}

const local: readonly [string, Record<string, unknown>, 'steps' | 'outcome'][] = [
  ['onnx (a marker model)', { prm: '.', prmKind: 'onnx' }, 'steps'],
  ['rules', { prmKind: 'rules' }, 'outcome'],
  ['rollouts', { prmKind: 'rollouts', rolloutsCount: 10 }, 'steps'],
];
for (const [name, given, scores] of local) {
  scorerContract(name, { open: () => open('', given), request, scores });
}
