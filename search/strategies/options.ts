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

export const beamWidthField = z
  .int()
  .min(0)
  .default(0)
  .describe(
    'next steps sampled per path, so that n / width paths stay beside each other; 0 follows n: 4 from n = 16 on, 2 below',
  );

/** A width of 4 at n = 4 would be one path, the same search as `guided`; below 16 the number of paths
 *  matters more than the choice at each (search-and-learn's 4 is meant for 16 to 256). */
export function beamWidthFor(n: number, beamWidth: number): number {
  if (beamWidth > 0) return Math.min(beamWidth, n);
  return Math.min(n >= 16 ? 4 : 2, n);
}

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
