import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isSettled, selectWinner, tallyVotes, type Votable } from '../../search/index.js';

const of = (group: number, score: number | null): Votable => ({ group, score, weight: score });

/** Group 0 has two middling votes, group 1 one high, group 2 two low ones. */
const FIELD = [of(0, 0.4), of(1, 0.9), of(2, 0.1), of(0, 0.45), of(2, 0.2)];

it('tallies votes, weights and the best candidate of each answer', () => {
  const rounded = tallyVotes(FIELD).map((tally) => {
    return { ...tally, weight: Math.round(tally.weight * 100) / 100 };
  });
  expect(rounded).toEqual([
    { group: 0, votes: 2, weight: 0.85, best: 3 },
    { group: 1, votes: 1, weight: 0.9, best: 1 },
    { group: 2, votes: 2, weight: 0.3, best: 4 },
  ]);
});

it('selects the best, the weighted vote and the majority', () => {
  expect(selectWinner(FIELD, 'vanilla')).toBe(1);
  // 0.9 against 0.4 + 0.45
  expect(selectWinner(FIELD, 'weighted')).toBe(1);
  // Two votes each for groups 0 and 2: the heavier one, and in it the best candidate.
  expect(selectWinner(FIELD, 'majority')).toBe(3);
  expect(selectWinner([...FIELD, of(0, 0.1)], 'weighted')).toBe(3);
});

it('lets duplicates vote: saying a thing twice counts twice', () => {
  expect(selectWinner([of(0, 0.6), of(1, 0.5), of(1, 0.5)], 'weighted')).toBe(1);
});

it('gives ties to the earlier candidate', () => {
  const tied = [of(1, 0.5), of(0, 0.5)];
  for (const selection of ['vanilla', 'weighted', 'majority'] as const) {
    expect(selectWinner(tied, selection)).toBe(0);
  }
});

it('never lets an unscored or answerless candidate win over another', () => {
  expect(selectWinner([of(0, null), of(1, 0)], 'vanilla')).toBe(1);
  expect(selectWinner([of(-1, 0.9), of(1, 0.1)], 'vanilla')).toBe(1);
  expect(selectWinner([of(1, 0.1), of(-1, 0.9)], 'vanilla')).toBe(0);
  expect(selectWinner([of(-1, 0.9), of(-1, 0.9), of(1, 0.1)], 'majority')).toBe(2);
  expect(selectWinner([of(-1, 0.2), of(-1, 0.3)], 'weighted')).toBe(1);
  expect(selectWinner([], 'weighted')).toBeNull();
});

it('calls a vote settled only when the rest could not turn it', () => {
  const lead = [of(0, 1), of(0, 1), of(0, 1), of(1, 0.5)];
  expect(isSettled(lead, 'majority', 1)).toBe(true);
  // Two more votes for group 1 would tie.
  expect(isSettled(lead, 'majority', 2)).toBe(false);
  // Weights 3 against 0.5: two more of weight 1 leave 2.5.
  expect(isSettled(lead, 'weighted', 2)).toBe(true);
  expect(isSettled([], 'majority', 0)).toBe(false);
});

it('keeps its answer once settled, whatever comes', () => {
  const candidate = fc.record({
    group: fc.integer({ min: -1, max: 3 }),
    score: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  const votables = (field: { group: number; score: number }[]) =>
    field.map(({ group, score }) => of(group, score));
  fc.assert(
    fc.property(
      fc.array(candidate, { maxLength: 12 }),
      fc.array(candidate, { maxLength: 6 }),
      fc.constantFrom('weighted' as const, 'majority' as const),
      (early, late, selection) => {
        const before = votables(early);
        if (!isSettled(before, selection, late.length)) return;
        const all = [...before, ...votables(late)];
        const answer = (field: Votable[]) => field[selectWinner(field, selection) ?? 0]?.group;
        expect(answer(all)).toBe(answer(before));
      },
    ),
    { seed: 4, numRuns: 2000 },
  );
});
