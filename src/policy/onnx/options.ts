import { z } from 'zod';
import { SPLITTER_NAMES } from '../splitter.js';

/** Options of the ONNX host; the folder is given apart. */
export const onnxOptions = z.strictObject({
  threads: z
    .int()
    .min(1)
    .max(256)
    .default(1)
    .describe('model-host threads, each with its own copy of the sessions'),
  maxBatch: z
    .int()
    .min(1)
    .max(4096)
    .default(64)
    .describe('sequences that one thread decodes at once'),
  kvCacheMb: z
    .number()
    .min(0)
    .default(256)
    .describe('prefix cache of one thread in MiB; 0 keeps nothing between requests'),
  intraOpThreads: z
    .int()
    .min(1)
    .max(256)
    .default(1)
    .describe('threads inside one operator; more than 1 may change the last bits of logits'),
  onnxProvider: z
    .enum(['cpu', 'cuda'])
    .default('cpu')
    .describe("what runs the graphs; cuda needs the runtime's CUDA libraries and a GPU"),
  onnxDevice: z.int().min(0).max(1023).default(0).describe('number of the GPU for cuda'),
  decoder: z
    .enum(['auto', 'append', 'merged'])
    .default('auto')
    .describe('decoder graph: append-only KV, the standard merged one, or the best there is'),
  splitter: z
    .enum(SPLITTER_NAMES)
    .default('blank-line')
    .describe('how the model separates its steps'),
  promptTemplate: z
    .string()
    .refine((text) => text.includes('{question}'), 'must contain {question}')
    .default('{question}{choices}')
    .describe('user prompt; {question} and {choices} are filled in'),
  systemPrompt: z
    .string()
    .default('')
    .describe('system message before the question; empty for none'),
});

export type OnnxOptions = z.infer<typeof onnxOptions>;
