import type { InferenceSession } from 'onnxruntime-node';
import { SteptreeError } from '../../../search/errors.js';
import type { SampleReply, SampleRequest } from '../../../search/types.js';
import { createSplitter } from '../splitter.js';
import { Batcher, type BatcherStats } from './batcher.js';
import type { Decoder } from './decoder.js';
import { appendDecoder, mergedDecoder, openSession, TokenEmbedder } from './engine.js';
import { type ModelFolder, readModelFolder } from './folder.js';
import { VisionEncoder } from './image.js';
import type { OnnxOptions } from './options.js';
import { PromptText } from './prompt.js';

/** One copy of a model in this thread: sessions, batcher and text. Runs block the thread. */
export class OnnxModel {
  private constructor(
    private readonly folder: ModelFolder,
    private readonly sessions: readonly InferenceSession[],
    private readonly decoder: Decoder,
    private readonly vision: VisionEncoder,
    private readonly text: PromptText,
    private readonly batcher: Batcher,
  ) {}

  /** @throws SteptreeError ONNX_FOLDER, ONNX_CONFIG or ONNX_GRAPH */
  static async load(path: string, options: OnnxOptions): Promise<OnnxModel> {
    const folder = await readModelFolder(path);
    const append = chooseAppend(folder, options);
    const open = (name: string) => openSession(path, name, options);
    const vision = await open('vision_encoder.onnx');
    const embed = await open('embed_tokens.onnx');
    const session = await open(append ? 'decoder_append.onnx' : 'decoder_model_merged.onnx');
    const step = append && folder.graphs.step ? await open('decoder_step.onnx') : null;
    const decoder = append
      ? appendDecoder(session, step, folder.shape)
      : mergedDecoder(session, folder.shape);
    const embedder = new TokenEmbedder(embed, folder.shape.hidden);
    return new OnnxModel(
      folder,
      [vision, embed, session, ...(step === null ? [] : [step])],
      decoder,
      new VisionEncoder(vision, folder.images, folder.shape.hidden),
      new PromptText(folder, createSplitter(options.splitter), options),
      new Batcher(decoder, embedder, {
        maxBatch: options.maxBatch,
        cacheBytes: options.kvCacheMb * 2 ** 20,
      }),
    );
  }

  get decoderName(): Decoder['name'] {
    return this.decoder.name;
  }

  get stats(): BatcherStats {
    return this.batcher.stats;
  }

  /** Samples in the running batch. Once `signal` aborts, the sequences leave the batch at the next
   *  step and the promise stays unsettled: the caller has turned away.
   *  @throws SteptreeError POLICY_IMAGE_UNREADABLE, ONNX_PROMPT_TOO_LONG, ONNX_CONFIG */
  async sample(request: SampleRequest, signal?: AbortSignal): Promise<SampleReply> {
    const images = await Promise.all(
      request.problem.images.map((image) => this.vision.encode(image)),
    );
    signal?.throwIfAborted();
    const ids = this.text.encode(request.problem, request.prefix, images);
    const { done, cancel } = this.batcher.submit({
      ids,
      imageToken: this.folder.imageToken,
      imageFeatures: images.map((image) => image.features),
      imageKeys: images.map((image) => image.key),
      seeds: request.seeds,
      sampling: request.sampling,
      endTokens: this.folder.endTokens,
      ...(request.until === 'step'
        ? { endsStep: (tokens: readonly number[]) => this.text.endsStep(tokens) }
        : {}),
    });
    signal?.addEventListener('abort', cancel, { once: true });
    const result = await done;
    signal?.removeEventListener('abort', cancel);
    return {
      rollouts: result.sequences.map((sequence) => this.text.rollout(sequence, request.until)),
      promptTokens: ids.length,
      cachedTokens: result.cachedTokens,
    };
  }

  /** Waits for the last pass and frees the sessions. Abort what is still running before. */
  async release(): Promise<void> {
    await this.vision.idle();
    await this.batcher.drain();
    for (const session of this.sessions) await session.release();
  }
}

function chooseAppend(folder: ModelFolder, options: OnnxOptions): boolean {
  const { append, merged } = folder.graphs;
  const wanted = options.decoder === 'auto' ? append : options.decoder === 'append';
  if (wanted ? append : merged) return wanted;
  throw new SteptreeError(
    'ONNX_FOLDER',
    `${folder.path} has no decoder graph for --decoder ${options.decoder}; use --decoder auto`,
    { path: folder.path, decoder: options.decoder },
  );
}
