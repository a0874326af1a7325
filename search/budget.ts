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

/** Nothing spent yet. */
export function emptyUsage(): Usage {
  return {
    calls: 0,
    rollouts: 0,
    policyTokens: 0,
    promptTokens: 0,
    cachedTokens: 0,
    prmCalls: 0,
    prmTokens: 0,
    criticCalls: 0,
    criticTokens: 0,
    ungraded: 0,
    replayed: 0,
  };
}

/** Adds `spent` to `total` in place. A count that an older record lacks is 0. */
export function addUsage(total: Usage, spent: Readonly<Partial<Usage>>): void {
  for (const name of USAGE_NAMES) total[name] += spent[name] ?? 0;
}

/** Takes `spent` from `total` in place. */
export function subtractUsage(total: Usage, spent: Readonly<Partial<Usage>>): void {
  for (const name of USAGE_NAMES) total[name] -= spent[name] ?? 0;
}

/** How many of `wanted` further rollouts the budget affords, at least 1 (whether anything may be
 *  asked at all is `spentLimit`'s to say). Tokens and seconds are reckoned at the mean of the
 *  rollouts so far, so a round overshoots by little; before the first one a limited budget
 *  affords 1. */
export function affordable(
  budget: Budget,
  usage: Usage,
  elapsedMs: number,
  wanted: number,
): number {
  const { maxTotalRollouts, maxPolicyTokens, maxSeconds } = budget;
  const perMean = (spent: number, limit: number) => {
    if (limit <= 0) return wanted;
    if (usage.rollouts === 0) return 1;
    return spent === 0 ? wanted : Math.floor((limit - spent) / (spent / usage.rollouts));
  };
  const rolloutsLeft = maxTotalRollouts > 0 ? maxTotalRollouts - usage.rollouts : wanted;
  const most = Math.min(
    wanted,
    rolloutsLeft,
    perMean(usage.policyTokens, maxPolicyTokens),
    perMean(elapsedMs / 1000, maxSeconds),
  );
  return Math.max(1, most);
}

const USAGE_NAMES = Object.keys(emptyUsage()) as (keyof Usage)[];

function reached(spent: number, limit: number): boolean {
  return limit > 0 && spent >= limit;
}
