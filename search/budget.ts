import type { Usage } from './types.js';

/** Limits of one problem's search; 0 means no limit. */
export interface Budget {
  readonly maxCalls: number;
  readonly maxTotalRollouts: number;
  readonly maxPolicyTokens: number;
  readonly maxSeconds: number;
}

export const NO_BUDGET: Budget = {
  maxCalls: 0,
  maxTotalRollouts: 0,
  maxPolicyTokens: 0,
  maxSeconds: 0,
};

/** The first limit that is spent, as its option's name, or null.
 *  Limits are looked at before a call, so the last call may overshoot. */
export function spentLimit(budget: Budget, usage: Usage, elapsedMs: number): keyof Budget | null {
  if (reached(usage.calls, budget.maxCalls)) return 'maxCalls';
  if (reached(usage.rollouts, budget.maxTotalRollouts)) return 'maxTotalRollouts';
  if (reached(usage.policyTokens, budget.maxPolicyTokens)) return 'maxPolicyTokens';
  if (reached(elapsedMs / 1000, budget.maxSeconds)) return 'maxSeconds';
  return null;
}

export function emptyUsage(): Usage {
  return {
    calls: 0,
    rollouts: 0,
    policyTokens: 0,
    promptTokens: 0,
    cachedTokens: 0,
    ungraded: 0,
    replayed: 0,
  };
}

/** Adds `spent` to `total` in place. */
export function addUsage(total: Usage, spent: Readonly<Usage>): void {
  total.calls += spent.calls;
  total.rollouts += spent.rollouts;
  total.policyTokens += spent.policyTokens;
  total.promptTokens += spent.promptTokens;
  total.cachedTokens += spent.cachedTokens;
  total.ungraded += spent.ungraded;
  total.replayed += spent.replayed;
}

function reached(spent: number, limit: number): boolean {
  return limit > 0 && spent >= limit;
}
