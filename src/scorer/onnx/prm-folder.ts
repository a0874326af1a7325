import { join } from 'node:path';
import { z } from 'zod';
import type { ScoreWeights } from '../../../prm/index.js';
import { SteptreeError } from '../../../search/errors.js';
import { type ModelFolder, readJson, readModelFolder } from '../../policy/onnx/folder.js';

/** A model folder that is a reward model. */
export interface PrmFolder extends ModelFolder {
  readonly marker: Marker;
  /** What stands after a wrong step, before its correction; null where that is written from the right
   *  steps alone; absent from folders that only score. */
  readonly correctionPrefix?: string | null;
  /** How value and likelihood make a score; absent where the graph gives no likelihood. */
  readonly likelihood?: ScoreWeights;
  /** Layers of KV: the model's, and those by which likelihoods go on from pass to pass. */
  readonly scorerLayers: number;
}

/** The token at which the model answers for the step before it. */
export interface Marker {
  readonly text: string;
  readonly id: number;
}

/** Paths are joined by this (prm/templates.ts). */
const SEPARATOR = '\n\n';

const factsSchema = z.looseObject({
  marker: z.string().min(1),
  markerTokenId: z.int().min(0),
  stepSeparator: z.literal(SEPARATOR).default(SEPARATOR),
  correctionPrefix: z.string().min(1).nullable().optional(),
  likelihood: z
    .object({ weight: z.number(), valueWeight: z.number(), bias: z.number() })
    .optional(),
  scorerLayers: z.int().min(1).optional(),
});

/** Reads everything of a reward model's folder but its weights.
 *  @throws SteptreeError ONNX_FOLDER for a folder without onnx/scorer_append.onnx or
 *  steptree_prm.json, ONNX_CONFIG for a marker that is not one token, and as `readModelFolder` */
export async function readPrmFolder(path: string): Promise<PrmFolder> {
  const folder = await readModelFolder(path);
  if (!folder.graphs.scorer) {
    throw new SteptreeError(
      'ONNX_FOLDER',
      `${path} is a model but no reward model: onnx/scorer_append.onnx is missing; make it with training/export_prm.py, or name another folder with --prm`,
      { path },
    );
  }
  const facts = await readJson(join(path, 'steptree_prm.json'), factsSchema);
  const marker = { text: facts.marker, id: facts.markerTokenId };
  const ids: number[] = folder.tokenizer.encode(marker.text, { add_special_tokens: false }).ids;
  if (ids.length !== 1 || ids[0] !== marker.id) {
    throw new SteptreeError(
      'ONNX_CONFIG',
      `${path}: steptree_prm.json names ${marker.text} with id ${marker.id} as marker, and the tokenizer reads it as ${ids.join(', ')}; export the folder again`,
      { path, marker: marker.text, expected: marker.id, got: ids },
    );
  }
  const { correctionPrefix, likelihood, scorerLayers = folder.shape.layers } = facts;
  if (likelihood && scorerLayers <= folder.shape.layers) {
    throw new SteptreeError(
      'ONNX_CONFIG',
      `${path}: steptree_prm.json weighs the likelihood, and its scorerLayers are ${scorerLayers}, not above the model's ${folder.shape.layers}; export the folder again with training/export_prm.py --likelihood`,
      { path, scorerLayers, layers: folder.shape.layers },
    );
  }
  return {
    ...folder,
    marker,
    scorerLayers,
    ...(correctionPrefix === undefined ? {} : { correctionPrefix }),
    ...(likelihood ? { likelihood: weightsOf(likelihood) } : {}),
  };
}

function weightsOf(facts: NonNullable<z.infer<typeof factsSchema>['likelihood']>): ScoreWeights {
  return { valueWeight: facts.valueWeight, likelihoodWeight: facts.weight, bias: facts.bias };
}
