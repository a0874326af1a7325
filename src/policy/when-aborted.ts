/** Where a signal holds who waits for it, while anybody does. On the signal itself: calls have signals of
 *  their own, and a WeakMap of so many short-lived keys burdens every collection of garbage. */
const WAITERS = Symbol('waiters');

interface HeldSignal extends AbortSignal {
  [WAITERS]?: Waiters | undefined;
}

interface Waiters {
  readonly calls: Set<() => void>;
  readonly listener: () => void;
}

/** Calls `call` once the signal aborts, unless the returned function is called before.
 *
 *  In place of `addEventListener`, which walks all listeners of the signal: hundreds of calls in
 *  flight share a run's signal, thousands more wait in its queue, and each listens several times.
 *  However many they are, the signal has one listener of theirs, and that only while there is any.
 *  @param signal not aborted yet; undefined never aborts */
export function whenAborted(signal: AbortSignal | undefined, call: () => void): () => void {
  if (signal === undefined) return NOTHING;
  const { calls } = (signal as HeldSignal)[WAITERS] ?? listenTo(signal);
  // The same function may wait twice, and each time is forgotten by itself.
  const own = () => call();
  calls.add(own);
  return () => {
    if (calls.delete(own) && calls.size === 0) stopListening(signal);
  };
}

function listenTo(signal: HeldSignal): Waiters {
  const calls = new Set<() => void>();
  const listener = () => {
    signal[WAITERS] = undefined;
    for (const call of calls) {
      // One that is forgotten by another's call is no longer in the set, and not called.
      calls.delete(call);
      runAlone(call);
    }
  };
  const waiters = { calls, listener };
  signal[WAITERS] = waiters;
  signal.addEventListener('abort', listener, { once: true });
  return waiters;
}

function stopListening(signal: HeldSignal): void {
  const waiters = signal[WAITERS];
  if (waiters === undefined) return;
  signal[WAITERS] = undefined;
  signal.removeEventListener('abort', waiters.listener);
}

/** As listeners of a signal: what one throws does not keep the others from being called. */
function runAlone(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

const NOTHING = () => {};
