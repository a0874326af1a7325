import { SteptreeError } from '../../search/errors.js';
import { SCORER_KINDS, type ScorerKind } from './options.js';

export interface HybridPartSpec {
  readonly weight: number;
  readonly kind: Exclude<ScorerKind, 'hybrid'>;
  /** As `--prm` takes it; absent: the one that `--prm` gives. */
  readonly spec?: string;
}

const KINDS = SCORER_KINDS.filter((kind) => kind !== 'auto' && kind !== 'hybrid');

/** Reads `0.3:rules` or `0.7:pooling:http://localhost:8000/v1`.
 *  @throws SteptreeError OPTION_INVALID */
export function parseHybridPart(text: string): HybridPartSpec {
  const [, weight = '', name = '', spec] = /^([^:]*):([^:]*)(?::(.+))?$/.exec(text) ?? [];
  const kind = KINDS.find((one) => one === name);
  const value = Number(weight);
  if (kind !== undefined && weight.trim() !== '' && value > 0 && Number.isFinite(value)) {
    return { weight: value, kind, ...(spec === undefined ? {} : { spec }) };
  }
  throw new SteptreeError(
    'OPTION_INVALID',
    `--hybrid-parts: "${text}" is no weight:kind or weight:kind:where with a weight above 0 and one of ${KINDS.join(', ')}`,
    { option: 'hybridParts', part: text },
  );
}
