import { expect, it } from 'vitest';
import { makeMethods } from '../../src/evaluate/label-methods.js';

it("reads a labeller with options of its own over the command's defaults", () => {
  const [method] = makeMethods(['step-rollouts:numRollouts=8:adaptive=true:adaptiveRule=gain']);
  expect(method).toMatchObject({
    method: 'step-rollouts',
    options: { numRollouts: 8, adaptive: true, adaptiveRule: 'gain', numSolutions: 4 },
  });
});

it.each([
  ['mcts', /--method "mcts": there is no such method; .*step-rollouts, omegaprm/],
  ['omegaprm:numSolutions=2', /"numSolutions=2" is no NAME=VALUE of its options/],
  ['step-rollouts:numRollouts=0', /numRollouts: /],
])('refuses %s in one sentence', (spec, sentence) => {
  expect(() => makeMethods([spec])).toThrow(sentence);
});

it('refuses a method that is listed twice', () => {
  expect(() => makeMethods(['omegaprm', 'omegaprm'])).toThrow(/listed twice/);
});
