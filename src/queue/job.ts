import type { Problem } from '../../search/types.js';
import { problemHash } from '../runtime/problem-hash.js';
import type { TravellingProblem } from './pictures.js';

/** Name of all our jobs in BullMQ; what a job is of, its queue says. */
export const JOB_NAME = 'label';

/** A job as it lies in BullMQ. */
export interface JobData {
  readonly runId: string;
  readonly problem: TravellingProblem;
}

/** Made of run, place and content: adding a job again does nothing. */
export function jobIdOf(runId: string, ordinal: number, problem: Problem): string {
  return `${runId}-${ordinal}-${problemHash(problem).slice(0, 12)}`;
}

/** The place of its problem in the run's file. */
export function ordinalOf(jobId: string): number {
  return Number(jobId.split('-')[1]);
}
