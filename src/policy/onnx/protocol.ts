import { errorCode, errorMessage, SteptreeError } from '../../../search/errors.js';

/** From the main thread to a model-host thread. */
export type HostCommand<Request> =
  /** Requests that were made together can share a batch from the start. */
  | {
      readonly kind: 'ask';
      readonly calls: readonly { readonly id: number; readonly request: Request }[];
    }
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'stats'; readonly id: number }
  /** Drop everything, finish the running pass, free the sessions, exit. */
  | { readonly kind: 'close' };

/** From a model-host thread to the main thread. */
export type HostMessage<Reply, Stats> =
  | { readonly kind: 'ready'; readonly about: string }
  | { readonly kind: 'reply'; readonly id: number; readonly reply: Reply }
  | { readonly kind: 'stats'; readonly id: number; readonly stats: Stats }
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
