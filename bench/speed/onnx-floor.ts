/** What a decode step costs at least: its multiplications and its bytes, at measured ceilings. */

export interface ModelSize {
  readonly text: {
    readonly layers: number;
    readonly hidden: number;
    readonly intermediate: number;
    readonly heads: number;
    readonly kvHeads: number;
    readonly headDim: number;
    readonly vocab: number;
  };
  /** Multiplications and additions of one picture. */
  readonly pictureFlops: number;
  /** Keys and values of a token, bytes. */
  readonly kvBytes: number;
  /** Weights of all layers without the language head, and the head's. */
  readonly layerWeights: number;
  readonly headWeights: number;
}

/** What was generated. */
export interface Workload {
  readonly sequences: readonly { readonly prompt: number; readonly tokens: number }[];
  /** Sequences that read one prompt's keys and values together. */
  readonly sharedBy: number;
  /** Prompt tokens and pictures that were computed. */
  readonly promptTokens: number;
  readonly pictures: number;
}

/** Of a LLaVA-style config.json. */
export function modelSize({ text_config: text, vision_config: vision }: ConfigJson): ModelSize {
  const heads = text.num_attention_heads;
  const kvHeads = text.num_key_value_heads ?? heads;
  const headDim = text.head_dim ?? text.hidden_size / heads;
  const layers = text.num_hidden_layers;
  const hidden = text.hidden_size;
  const attention = (2 * heads + 2 * kvHeads) * headDim;
  const patches = (vision.image_size / vision.patch_size) ** 2;
  const tower = 4 * vision.hidden_size ** 2 + 2 * vision.hidden_size * vision.intermediate_size;
  const pixels = (vision.num_channels ?? 3) * vision.patch_size ** 2;
  const projector = (vision.hidden_size + hidden) * hidden;
  return {
    text: {
      layers,
      hidden,
      intermediate: text.intermediate_size,
      heads,
      kvHeads,
      headDim,
      vocab: text.vocab_size,
    },
    pictureFlops:
      2 * patches * (vision.num_hidden_layers * tower + pixels * vision.hidden_size + projector) +
      4 * patches ** 2 * vision.hidden_size * vision.num_hidden_layers,
    kvBytes: 2 * layers * kvHeads * headDim * 4,
    layerWeights: layers * hidden * (attention + 3 * text.intermediate_size),
    headWeights: hidden * text.vocab_size,
  };
}

export interface ConfigJson {
  readonly text_config: {
    readonly hidden_size: number;
    readonly intermediate_size: number;
    readonly num_hidden_layers: number;
    readonly num_attention_heads: number;
    readonly num_key_value_heads?: number;
    readonly head_dim?: number;
    readonly vocab_size: number;
  };
  readonly vision_config: {
    readonly hidden_size: number;
    readonly intermediate_size: number;
    readonly num_hidden_layers: number;
    readonly image_size: number;
    readonly patch_size: number;
    readonly num_channels?: number;
  };
}

/** Microseconds per generated token of one thread that reaches the ceilings all the time.
 *
 *  Products: the weights, and queries against every key and value that a token sees. Bytes: the weights
 *  once a pass, the sequence's own keys and values, its prompt's once for all that share it, and what the
 *  binding copies out: logits and the new row. A sequence's first token comes with its prompt. */
export function workFloor(
  size: ModelSize,
  work: Workload,
  batch: number,
  { gflops, copyGbps }: { readonly gflops: number; readonly copyGbps: number },
): FloorUs {
  const { layers, heads, headDim, vocab } = size.text;
  const attentionFlops = 4 * layers * heads * headDim;
  let tokens = 0;
  let flops = 0;
  let bytes = 0;
  for (const one of work.sequences) {
    const steps = one.tokens - 1;
    // The k-th step sees the prompt and k own tokens, itself the last.
    const own = (steps * (steps + 1)) / 2;
    tokens += one.tokens;
    flops += steps * (2 * (size.layerWeights + size.headWeights) + attentionFlops * one.prompt);
    flops += attentionFlops * own;
    const once = ((size.layerWeights + size.headWeights) * 4) / batch;
    const prompt = (size.kvBytes * one.prompt) / work.sharedBy;
    bytes += steps * (once + prompt + vocab * 4 + size.kvBytes) + size.kvBytes * own;
  }
  const us = (flop: number) => flop / gflops / 1e3 / tokens;
  const meanPrompt =
    work.sequences.reduce((sum, one) => sum + one.prompt, 0) / work.sequences.length;
  const promptFlops = 2 * size.layerWeights + (attentionFlops * meanPrompt) / 2;
  const parts = {
    productsUs: us(flops),
    bytesUs: bytes / copyGbps / 1e3 / tokens,
    promptUs: us(work.promptTokens * promptFlops),
    pictureUs: us(work.pictures * size.pictureFlops),
  };
  const totalUs = parts.productsUs + parts.bytesUs + parts.promptUs + parts.pictureUs;
  return { ...parts, totalUs };
}

export interface FloorUs {
  readonly productsUs: number;
  readonly bytesUs: number;
  readonly promptUs: number;
  readonly pictureUs: number;
  readonly totalUs: number;
}
