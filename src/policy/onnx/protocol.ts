import { errorCode, errorMessage, SteptreeError } from '../../../search/errors.js';
import type { SampleReply, SampleRequest } from '../../../search/types.js';
import type { BatcherStats } from './batcher.js';
import type { Decoder } from './decoder.js';
import type { OnnxOptions } from './options.js';

/** What a model-host thread is started with. */
export interface HostThreadData {
  readonly folder: string;
  readonly options: OnnxOptions;
}

/** From the main thread to a model-host thread. */
export type HostCommand =
  | { readonly kind: 'sample'; readonly id: number; readonly request: SampleRequest }
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'stats'; readonly id: number }
  /** Drop everything, finish the running pass, free the sessions, exit. */
  | { readonly kind: 'close' };

/** From a model-host thread to the main thread. */
export type HostMessage =
  | { readonly kind: 'ready'; readonly decoder: Decoder['name'] }
  | { readonly kind: 'reply'; readonly id: number; readonly reply: SampleReply }
  | { readonly kind: 'stats'; readonly id: number; readonly stats: BatcherStats }
  | { readonly kind: 'error'; readonly id: number; readonly error: PlainError }
  | { readonly kind: 'unusable'; readonly error: PlainError };

/** An error as it crosses threads, where classes are lost. */
export interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

export function plainError(error: unknown): PlainError {
  const facts = error instanceof SteptreeError ? JSON.parse(JSON.stringify(error.facts)) : {};
  return { code: errorCode(error), message: errorMessage(error), facts };
}

/** The error again; what the thread did not raise on purpose becomes ONNX_HOST_FAILED. */
export function revivedError(plain: PlainError): SteptreeError {
  if (plain.code !== 'INTERNAL') return new SteptreeError(plain.code, plain.message, plain.facts);
  return new SteptreeError('ONNX_HOST_FAILED', `the model host failed: ${plain.message}`, {});
}
