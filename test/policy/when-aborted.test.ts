import { getEventListeners } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { linkedAbort, together } from '../../src/policy/linked-abort.js';
import { whenAborted } from '../../src/policy/when-aborted.js';

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

describe('waiting for an abort', () => {
  afterEach(() => vi.restoreAllMocks());

  it('puts one listener on the signal however many wait, and takes it off with the last', () => {
    const { signal } = new AbortController();
    const forget = Array.from({ length: 1000 }, () => whenAborted(signal, () => {}));
    expect(listeners(signal)).toBe(1);
    for (const one of forget.slice(1)) one();
    expect(listeners(signal)).toBe(1);
    forget[0]?.();
    expect(listeners(signal)).toBe(0);
    whenAborted(signal, () => {});
    expect(listeners(signal)).toBe(1);
  });

  it('calls all that wait, in order and once', () => {
    const abort = new AbortController();
    const called: string[] = [];
    const note = () => called.push('twice');
    whenAborted(abort.signal, () => called.push('first'));
    whenAborted(abort.signal, note);
    whenAborted(abort.signal, note);
    abort.abort();
    abort.abort();
    expect(called).toEqual(['first', 'twice', 'twice']);
  });

  it('does not call what was forgotten, also by a call of the same abort', () => {
    const abort = new AbortController();
    const called: string[] = [];
    const forgetFirst = whenAborted(abort.signal, () => called.push('first'));
    whenAborted(abort.signal, () => later());
    const later = whenAborted(abort.signal, () => called.push('later'));
    forgetFirst();
    forgetFirst();
    abort.abort();
    expect(called).toEqual([]);
  });

  it('calls the others when one throws, and does not hide the error', () => {
    const abort = new AbortController();
    const queued = vi.spyOn(globalThis, 'queueMicrotask').mockImplementation(() => {});
    const called = vi.fn();
    whenAborted(abort.signal, () => {
      throw new Error('a fault');
    });
    whenAborted(abort.signal, called);
    abort.abort();
    expect(called).toHaveBeenCalledOnce();
    expect(() => queued.mock.calls[0]?.[0]()).toThrow('a fault');
  });
});

describe('calls that belong together', () => {
  it('are aborted when one of them fails', async () => {
    const outer = new AbortController();
    const reasons: unknown[] = [];
    const failure = new Error('no use');
    const all = together([0, 1, 2], outer.signal, async (index, signal) => {
      if (index === 1) throw failure;
      await new Promise<void>((resolve) => whenAborted(signal, resolve));
      reasons.push(signal?.reason);
    });
    await expect(all).rejects.toBe(failure);
    await Promise.resolve();
    expect(reasons).toEqual([failure, failure]);
    expect(outer.signal.aborted).toBe(false);
    expect(listeners(outer.signal)).toBe(0);
  });

  it('follow the outer signal, with its reason', async () => {
    const outer = new AbortController();
    const all = together(
      ['a', 'b'],
      outer.signal,
      (_, signal) =>
        new Promise((_resolve, reject) => whenAborted(signal, () => reject(signal?.reason))),
    );
    outer.abort('enough');
    await expect(all).rejects.toBe('enough');
  });

  it('come back in order, and one alone gets the outer signal itself', async () => {
    const { signal } = new AbortController();
    const double = async (n: number) => 2 * n;
    expect(await together([3, 1, 2], signal, double)).toEqual([6, 2, 4]);
    expect(await together([5], signal, async (_, own) => own)).toEqual([signal]);
    expect(await together([], signal, double)).toEqual([]);
  });

  it('no longer follow a signal that they were unlinked from', () => {
    const outer = new AbortController();
    const linked = linkedAbort(outer.signal);
    linked.unlink();
    outer.abort();
    expect(linked.signal.aborted).toBe(false);
  });
});
