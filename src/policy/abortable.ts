import { whenAborted } from './when-aborted.js';

/** Leaves the shared work running, and stops only this caller's waiting. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) {
      // Nobody else may be looking at the work.
      work.catch(() => {});
      reject(signal.reason);
      return;
    }
    const forget = whenAborted(signal, () => reject(signal.reason));
    work.then(
      (value) => {
        forget();
        resolve(value);
      },
      (error) => {
        forget();
        reject(error);
      },
    );
  });
}
