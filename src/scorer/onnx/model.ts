import type { InferenceSession } from 'onnxruntime-node';
import {
  firstWeights,
  type MarkedPath,
  type MarkedReply,
  type ScoreWeights,
} from '../../../prm/index.js';
import { SteptreeError } from '../../../search/errors.js';
import type { DecoderShape } from '../../policy/onnx/decoder.js';
import { appendScorer, openSession, TokenEmbedder } from '../../policy/onnx/engine.js';
import { VisionEncoder } from '../../policy/onnx/image.js';
import { MarkedText } from './marked-text.js';
import type { OnnxPrmHostOptions } from './options.js';
import { PathReader, type PathReaderStats } from './path-reader.js';
import { type PrmFolder, readPrmFolder } from './prm-folder.js';

/** One copy of a reward model in this thread: sessions, reader and text. Runs block the thread. */
export class OnnxRewardModel {
  private constructor(
    private readonly folder: PrmFolder,
    private readonly sessions: readonly InferenceSession[],
    private readonly vision: VisionEncoder,
    private readonly text: MarkedText,
    private readonly reader: PathReader,
  ) {}

  /** @throws SteptreeError ONNX_FOLDER, ONNX_CONFIG, ONNX_GRAPH or OPTION_INVALID */
  static async load(path: string, options: OnnxPrmHostOptions): Promise<OnnxRewardModel> {
    const folder = await readPrmFolder(path);
    const weights = scoreWeights(folder, options);
    const open = (name: string) => openSession(path, name, options);
    const vision = await open('vision_encoder.onnx');
    const embed = await open('embed_tokens.onnx');
    const scorer = await open('scorer_append.onnx');
    const { hidden } = folder.shape;
    return new OnnxRewardModel(
      folder,
      [vision, embed, scorer],
      new VisionEncoder(vision, folder.images, hidden),
      new MarkedText(folder),
      new PathReader(appendScorer(scorer, scorerShape(folder)), new TokenEmbedder(embed, hidden), {
        maxBatch: options.maxBatch,
        cacheBytes: options.kvCacheMb * 2 ** 20,
        weights,
      }),
    );
  }

  get stats(): PathReaderStats {
    return this.reader.stats;
  }

  /** Reads a path in the passes that are under way. Once `signal` aborts, it leaves the batch at the
   *  next pass and the promise stays unsettled: the caller has turned away.
   *  @throws SteptreeError POLICY_IMAGE_UNREADABLE, ONNX_PROMPT_TOO_LONG, ONNX_CONFIG, SCORE_RANGE */
  async read(path: MarkedPath, signal?: AbortSignal): Promise<MarkedReply> {
    const images = await Promise.all(path.problem.images.map((image) => this.vision.encode(image)));
    signal?.throwIfAborted();
    const tokens = this.text.encode(path, images);
    const { done, cancel } = this.reader.submit({
      ...tokens,
      imageToken: this.folder.imageToken,
      imageFeatures: images.map((image) => image.features),
      imageKeys: images.map((image) => image.key),
    });
    signal?.addEventListener('abort', cancel, { once: true });
    const reading = await done;
    signal?.removeEventListener('abort', cancel);
    return { ...reading, pathTokens: tokens.ids.length };
  }

  /** Waits for the last pass and frees the sessions. Abort what is still running before. */
  async release(): Promise<void> {
    await this.vision.idle();
    await this.reader.drain();
    for (const session of this.sessions) await session.release();
  }
}

/** Where a policy has its vocabulary stand two logits, and the log-likelihood if the graph gives it. */
function scorerShape({ shape, scorerLayers, likelihood }: PrmFolder): DecoderShape {
  return { ...shape, layers: scorerLayers, vocab: likelihood ? 3 : 2 };
}

/** The folder's weights, or in their place what the options state. */
function scoreWeights(folder: PrmFolder, options: OnnxPrmHostOptions): ScoreWeights {
  const weights = firstWeights(options, folder.likelihood ?? {});
  if (weights.likelihoodWeight === 0 || folder.likelihood) return weights;
  throw new SteptreeError(
    'OPTION_INVALID',
    `--prm-likelihood-weight ${weights.likelihoodWeight}: the graph of ${folder.path} gives no likelihood; export the folder with training/export_prm.py --likelihood, or leave the option out`,
    { option: 'prmLikelihoodWeight', path: folder.path },
  );
}
