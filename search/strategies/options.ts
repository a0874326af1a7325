import { z } from 'zod';
import { type AggregationName, aggregationOptions } from '../aggregate.js';
import { type SelectionName, selectionShape } from '../select.js';

/** Option fields that several strategies share. A default that differs is set where it is used. */

export const count = z.int().min(1);

export const nField = count
  .default(8)
  .describe('complete solutions at most; the width of searches over steps');

export const maxStepsField = count
  .default(40)
  .describe('steps per path at most; a longer one is given up as stuck');

export const lookaheadField = z
  .int()
  .min(0)
  .default(0)
  .describe('greedy steps by which a path is continued for its score only');

export const samplesPerRoundField = count
  .default(8)
  .describe('solutions sampled per call; early stop and budgets are looked at in between');

export const earlyStopField = z
  .boolean()
  .default(false)
  .describe('stop sampling once further solutions could not change the vote');

/** Aggregation with the default that the method's paper or code uses. */
export function aggregationShape(aggregation: AggregationName) {
  return {
    aggregation: aggregationOptions.shape.aggregation.default(aggregation),
    window: aggregationOptions.shape.window,
  };
}

export function selectionField(selection: SelectionName) {
  return { selection: selectionShape.selection.default(selection) };
}
