import type { Problem, SampleRequest, SamplingOptions } from '../../search/types.js';
import { simulatedOptions } from '../../src/policy/simulated.js';

export const sampling: SamplingOptions = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 2048,
};

export const cats: Problem = {
  id: 'cats',
  question: 'How many cats are on the mat?',
  images: [],
  answer: '12',
};

export function request(changes: Partial<SampleRequest> = {}): SampleRequest {
  return { problem: cats, prefix: [], until: 'end', seeds: [7, 8, 9], sampling, ...changes };
}

export function manyProblems(count: number): Problem[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `p-${i}`,
    question: `Question number ${i}: how long is side ${i}?`,
    images: [],
    answer: String(10 + i),
  }));
}

/** Requests of the contract for hosts that stand on the simulated policy's texts. */
export const simulatedRequests = {
  whole: request(),
  continued: request({ prefix: ['(1) reading the figure = 1', '(2) adding the parts = 2'] }),
  step: request({ prefix: ['(1) reading the figure = 1'], until: 'step' }),
  truncated: request({ sampling: { ...sampling, maxTokens: 3 } }),
};

export const defaultSimulation = simulatedOptions.parse({});
