import type { MarkedPath, MarkerModel } from '../../prm/index.js';
import { chanceIn } from './toy-server.js';

export interface ToyMarkerModel extends MarkerModel {
  readonly asked: MarkedPath[][];
}

/** A marker model that reads its scores out of the steps (`p=0.73`), and remembers as a KV cache
 *  would: a segment costs one token unless its whole prefix was read before. */
export function toyMarkerModel(batchSize = 8): ToyMarkerModel {
  const asked: MarkedPath[][] = [];
  const cached = new Set<string>();
  return {
    name: 'toy marker model',
    batchSize,
    asked,
    read(paths) {
      asked.push([...paths]);
      return paths.map(async ({ question, segments }) => {
        const prefixes = segments.map((_, index) =>
          JSON.stringify([question, ...segments.slice(0, index + 1)]),
        );
        const fresh = prefixes.filter((prefix) => !cached.has(prefix));
        for (const prefix of fresh) cached.add(prefix);
        return {
          probabilities: segments.map(chanceIn),
          pathTokens: segments.length,
          computedTokens: fresh.length,
        };
      });
    },
    close: async () => {},
  };
}
