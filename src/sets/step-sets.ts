/** Sets that judge reward models: solutions with the truth of their steps, and pairs of responses. */

import type { Problem } from '../../search/types.js';
import { text, textOf } from './fields.js';
import { findNamed } from './find-named.js';
import { listOf, picturesOf } from './olympiad-bench.js';
import type { Fields } from './types.js';

/** A solution whose steps somebody has judged, and which judgement a reward model should reach. */
export interface JudgedParts {
  readonly id: string;
  readonly question: string;
  readonly images: readonly unknown[];
  /** The first is the one to judge; a pair has the better one first. */
  readonly solutions: readonly (readonly string[])[];
  /** Of the first solution's steps; null where nobody can say, or the step is neither. */
  readonly labels: readonly (boolean | null)[];
  /** Source or task, as the authors report it. */
  readonly group: string;
}

export interface JudgedProblem extends JudgedParts {
  readonly problem: Problem;
}

export interface JudgedSet {
  readonly name: string;
  readonly title: string;
  readonly source: string;
  /** What the authors report: F1 of right and wrong steps, first errors, or which of two is better. */
  readonly measure: 'step-f1' | 'first-error' | 'pairs';
  partsOf(fields: Fields, index: number): JudgedParts | null;
}

/** VisualProcessBench (VisualPRM, arXiv 2503.10291, §4): every step is right (1), wrong (-1) or neutral (0),
 *  also behind an error; the mean of the F1 of right and of wrong steps. Neutral ones don't count. */
const visualProcessBench: JudgedSet = {
  name: 'visual-process-bench',
  title: 'VisualProcessBench',
  source: 'Wang et al., VisualPRM, arXiv 2503.10291, §4',
  measure: 'step-f1',
  partsOf: (fields, index) => {
    const { response = {} } = fields as { response?: Fields };
    const steps = listOf(response.steps).map(textOf);
    return {
      id: textOf(fields.id ?? index),
      question: text(fields.question),
      images: listOf(fields.image),
      solutions: [steps],
      labels: listOf(response.process_correctness).map(fromSign),
      group: textOf(fields.data_source),
    };
  },
};

/** ProcessBench (arXiv 2412.06559, §3): the index of the first wrong step, -1 for none. What stands behind
 *  it has no label. */
const processBench: JudgedSet = {
  name: 'process-bench',
  title: 'ProcessBench',
  source: 'Zheng et al., ProcessBench, arXiv 2412.06559, §3',
  measure: 'first-error',
  partsOf: (fields, index) => {
    const steps = listOf(fields.steps).map(textOf);
    const first = Number(fields.label);
    const id = textOf(fields.id ?? index);
    return {
      id,
      question: text(fields.problem ?? fields.question),
      images: [],
      solutions: [steps],
      labels: steps.map((_, at) => (first < 0 || at < first ? true : at === first ? false : null)),
      group: id.replace(/-?\d+$/, ''),
    };
  },
};

/** VLRMBench (arXiv 2503.07478, §3.1), its tasks on single steps (step correctness, redundancy, confusion
 *  and the kinds of hallucination): a label per step, 1 for a good one. */
const vlrmBench: JudgedSet = {
  name: 'vlrm-bench',
  title: 'VLRMBench (step tasks)',
  source: 'Ruan et al., VLRMBench, arXiv 2503.07478, §3',
  measure: 'step-f1',
  partsOf: (fields, index) => {
    const response = (fields.response ?? fields) as Fields;
    const steps = listOf(response.steps ?? fields.reasoning_steps).map(textOf);
    const labels = listOf(response.process_correctness ?? fields.labels ?? fields.label);
    if (steps.length === 0 || labels.length !== steps.length) return null;
    return {
      id: textOf(fields.id ?? fields.idx ?? index),
      question: text(fields.question ?? fields.query),
      images: picturesOf(fields),
      solutions: [steps],
      labels: labels.map(fromBit),
      group: textOf(fields.task ?? fields.data_source),
    };
  },
};

/** VL-RewardBench (arXiv 2411.17451, §4): two responses and which of them people prefer; accuracy over all
 *  and the mean over the three kinds of task. */
const vlRewardBench: JudgedSet = {
  name: 'vl-reward-bench',
  title: 'VL-RewardBench',
  source: 'Li et al., VL-RewardBench, arXiv 2411.17451, §4',
  measure: 'pairs',
  partsOf: (fields, index) => {
    const responses = listOf(fields.response).map(textOf);
    const ranks = listOf(fields.human_ranking).map(Number);
    if (responses.length !== 2) return null;
    // Rank 0 is the better one.
    const order = (ranks[0] ?? 0) <= (ranks[1] ?? 1) ? [0, 1] : [1, 0];
    return {
      id: textOf(fields.id ?? index),
      question: text(fields.query),
      images: picturesOf(fields),
      solutions: order.map((at) => paragraphs(responses[at] ?? '')),
      labels: [],
      group: kindOf(textOf(fields.query_source ?? fields.dataset), textOf(fields.id)),
    };
  },
};

export const JUDGED_SETS: readonly JudgedSet[] = [
  visualProcessBench,
  processBench,
  vlrmBench,
  vlRewardBench,
];

export function findJudgedSet(name: string): JudgedSet | undefined {
  return findNamed(JUDGED_SETS, name);
}

function fromSign(value: unknown): boolean | null {
  const sign = Number(value);
  return sign > 0 || value === true ? true : sign < 0 || value === false ? false : null;
}

/** 1 is right, 0 and -1 are wrong: there is no neutral step here. */
function fromBit(value: unknown): boolean {
  return value === true || Number(value) > 0;
}

function paragraphs(response: string): string[] {
  return response
    .split(/\n\s*\n/)
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

/** The three kinds of task, by where the query is from. */
function kindOf(source: string, id: string): string {
  const name = `${source} ${id}`.toLowerCase();
  if (/mathverse|mmmu|reason/.test(name)) return 'reasoning';
  return /rlhf-v|rlaif|povid|hallus|halluc/.test(name) ? 'hallucination' : 'general';
}
