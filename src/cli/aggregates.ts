/** The one place where commands meet search's aggregation. */
import { AGGREGATIONS, type AggregationName, aggregate } from '../../search/aggregate.js';

export {
  type Aggregation,
  type AggregationName,
  aggregationOptions,
  pathScore,
} from '../../search/aggregate.js';

/** Every aggregate of one path's step scores. @param window last steps that count; 0 is all */
export function aggregates(
  steps: readonly number[],
  window: number,
): Record<AggregationName, number | null> {
  return Object.fromEntries(
    AGGREGATIONS.map((aggregation) => [aggregation, aggregate(steps, { aggregation, window })]),
  ) as Record<AggregationName, number | null>;
}
