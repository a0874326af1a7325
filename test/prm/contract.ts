import { afterEach, describe, expect, it } from 'vitest';
import type { Scorer } from '../../prm/index.js';
import type { PathScores, ScoreRequest } from '../../search/types.js';

/** A reward model opened for the contract. Every `open` must give a fresh one. */
export interface ScorerSubject {
  open(): Promise<Scorer>;
  /** One whose server never answers; left out where no call can be slow. */
  openSlow?(): Promise<Scorer>;
  /** Three or more different paths of one problem, of different lengths. */
  readonly request: ScoreRequest;
  readonly scores: 'steps' | 'outcome';
}

/** What a search relies on, whichever reward model it asks. */
export function scorerContract(name: string, subject: ScorerSubject): void {
  describe(`the scorer contract, kept by ${name}`, () => {
    const opened: Scorer[] = [];
    const open = async (opener = subject.open) => {
      const scorer = await opener();
      opened.push(scorer);
      return scorer;
    };
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((scorer) => scorer.close()));
    });
    const { request } = subject;
    const scoresOf = async (asked: ScoreRequest): Promise<readonly PathScores[]> =>
      (await (await open()).score(asked)).paths;

    it('gives one answer per path, with a score per step or one for the whole', async () => {
      const { paths, prmTokens } = await (await open()).score(request);
      expect(paths).toHaveLength(request.paths.length);
      expect(prmTokens).toBeGreaterThanOrEqual(0);
      paths.forEach((scores, index) => {
        if (subject.scores === 'steps') {
          expect(scores.steps).toHaveLength(request.paths[index]?.length ?? -1);
        } else {
          expect(scores.steps).toEqual([]);
          expect(scores.outcome).toBeTypeOf('number');
        }
      });
    });

    it('gives scores in [0, 1], and not all the same', async () => {
      const all = (await scoresOf(request)).flatMap((scores) => [
        ...scores.steps,
        ...(scores.outcome === undefined ? [] : [scores.outcome]),
      ]);
      expect(all.filter((score) => !(score >= 0 && score <= 1))).toEqual([]);
      expect(new Set(all).size).toBeGreaterThan(1);
    });

    it('answers the same request with the same scores', async () => {
      expect(await scoresOf(request)).toEqual(await scoresOf(request));
    });

    it('keeps the order of the paths', async () => {
      const forwards = await scoresOf(request);
      const backwards = await scoresOf({ ...request, paths: [...request.paths].reverse() });
      expect([...backwards].reverse()).toEqual(forwards);
    });

    it('scores a path alone as among others, unless it says that it compares them', async () => {
      const scorer = await open();
      const together = (await scorer.score(request)).paths;
      const apart: PathScores[] = [];
      const fresh = await open();
      for (const path of request.paths) {
        apart.push(...(await fresh.score({ ...request, paths: [path] })).paths);
      }
      if (scorer.setwise) expect(apart).not.toEqual(together);
      else expect(apart).toEqual(together);
    });

    it('gives equal paths equal scores', async () => {
      const [first = []] = request.paths;
      const [one, ...others] = await scoresOf({ ...request, paths: [first, ...request.paths] });
      expect(others[0]).toEqual(one);
    });

    it('gives nothing for no paths', async () => {
      expect(await scoresOf({ ...request, paths: [] })).toEqual([]);
    });

    it('refuses paths without steps and empty steps: nothing is no score', async () => {
      const scorer = await open();
      for (const bad of [[], ['p=0.9', '  ']]) {
        await expect(
          scorer.score({ ...request, paths: [...request.paths, bad] }),
        ).rejects.toMatchObject({ code: 'SCORE_PATH_EMPTY' });
      }
    });

    it('refuses a call whose signal has aborted, with the reason', async () => {
      const reason = new Error('not wanted any more');
      const call = (await open()).score(request, AbortSignal.abort(reason));
      await expect(call).rejects.toBe(reason);
    });

    it.runIf(subject.openSlow)('rejects with the reason as soon as its signal aborts', async () => {
      const scorer = await open(subject.openSlow);
      const abort = new AbortController();
      const call = scorer.score(request, abort.signal);
      const reason = new Error('changed my mind');
      abort.abort(reason);
      await expect(call).rejects.toBe(reason);
    });

    it.runIf(subject.openSlow)('fails what is under way when it is closed', async () => {
      const scorer = await open(subject.openSlow);
      const failing = expect(scorer.score(request)).rejects.toThrow(/closed/);
      await scorer.close();
      await failing;
    });

    it('can be closed twice, and then refuses calls', async () => {
      const scorer = await open();
      await scorer.close();
      await scorer.close();
      await expect(scorer.score(request)).rejects.toMatchObject({
        code: expect.stringMatching(/_CLOSED$/),
      });
    });
  });
}
