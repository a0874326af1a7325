/** Scores from comparisons: each solution's win rate in a tournament of pairs. */
import { SteptreeError } from '../search/errors.js';
import { contentHash, createRandom } from '../search/rng.js';
import type { Problem, ScoreReply, ScoreRequest, Step } from '../search/types.js';
import { type ChatReply, chat, readPair } from './chat.js';
import { checkPaths } from './check.js';
import { mapLimited } from './limit.js';
import type { PairwiseOptions } from './options.js';
import type { Scorer } from './path-scorer.js';
import type { ImageEncoder, ModelServer } from './ports.js';
import { escapeMarkers, questionText, systemMessage, withPictures } from './prompt.js';

const judgePrompt =
  'You compare two solutions of a mathematical problem with pictures. Say which one is better: a ' +
  'correct solution is better than a wrong one; of two wrong or two correct ones the one with ' +
  'fewer and smaller mistakes. Their order and their length mean nothing. End your reply with one ' +
  'letter, A or B.';

/** The verdict of a comparison that is not worth asking for. */
const DRAW = 0.5;

/** A judge of pairs as R1-Reward (arXiv 2505.02835) and UnifiedReward-Think (arXiv 2505.03318) are;
 *  the win rate as score is Pref-GRPO's (arXiv 2508.20751). Every pair is asked in both orders and
 *  the two chances averaged, so that a preference for the first place cancels. The score depends
 *  on the other paths of the request. Equal solutions share a place; a solution without an
 *  opponent scores 0.5.
 *  @throws from `score`: SteptreeError SCORE_PATH_EMPTY, SCORE_REPLY_INVALID after asking twice,
 *  SCORE_HOST_CLOSED, what server and encoder throw, and the signal's reason */
export function createPairwiseScorer(
  server: ModelServer,
  images: ImageEncoder,
  options: PairwiseOptions,
): Scorer {
  return new Tournament(server, images, options);
}

/** Which pairs of `players` meet. Everyone meets everyone if that is at most `maxPairs`; else the
 *  players stand in a seeded circle and meet their neighbours, then the next but one, and so on,
 *  so that all play about equally often. Everybody plays at least once, whatever `maxPairs` is.
 *  @returns index pairs, the smaller index first */
export function drawPairs(players: number, maxPairs: number, seed: string): [number, number][] {
  const circle = shuffled(players, seed);
  const all = (players * (players - 1)) / 2;
  const wanted = Math.min(all, Math.max(maxPairs, Math.ceil(players / 2)));
  const pairs = new Map<string, [number, number]>();
  for (let distance = 1; pairs.size < wanted; distance++) {
    // Every second place first: then half a round already lets everybody play.
    const places = [...circle.keys()].sort((a, b) => (a % 2) - (b % 2) || a - b);
    for (const place of places) {
      const one = circle[place] as number;
      const other = circle[(place + distance) % players] as number;
      if (one === other || pairs.size >= wanted) continue;
      pairs.set([one, other].sort((a, b) => a - b).join(), [
        Math.min(one, other),
        Math.max(one, other),
      ]);
    }
  }
  return [...pairs.values()];
}

class Tournament implements Scorer {
  readonly name: string;
  readonly setwise = true;
  private readonly counts = { tournaments: 0, comparisons: 0, askedAgain: 0 };
  private closing: Promise<void> | null = null;

  constructor(
    private readonly server: ModelServer,
    private readonly images: ImageEncoder,
    private readonly options: PairwiseOptions,
  ) {
    this.name = `pairwise ${server.name}`;
  }

  async score(request: ScoreRequest, signal?: AbortSignal): Promise<ScoreReply> {
    signal?.throwIfAborted();
    checkPaths(request, this.name);
    if (this.closing) throw closedError(this.name);
    const { problem } = request;
    const texts = request.paths.map((steps) => steps.join('\n\n'));
    // Sorted, so that the order of the paths decides nothing.
    const players = [...new Set(texts)].sort();
    const seed = contentHash([String(this.options.seed), problem.id, ...players]);
    const pairs = drawPairs(players.length, this.options.maxPairs, seed);
    const pictures = this.options.images
      ? await Promise.all(problem.images.map((image) => this.images.dataUrl(image)))
      : [];
    let prmTokens = 0;
    const failed = new AbortController();
    const either = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);
    const chanceOfFirst = async (first: number, second: number) => {
      const two = [players[first] ?? '', players[second] ?? ''] as const;
      const { chance, tokens } = await this.compare(problem, two, pictures, either);
      prmTokens += tokens;
      return chance;
    };
    const games = pairs.flatMap(([a, b]) => [
      [a, b],
      [b, a],
    ]) as [number, number][];
    this.counts.tournaments++;
    try {
      const chances = await mapLimited(games, this.options.maxInFlight, ([a, b]) =>
        chanceOfFirst(a, b),
      );
      const rates = winRates(players.length, pairs, chances);
      const paths = texts.map((text) => ({
        steps: [],
        outcome: rates[players.indexOf(text)] ?? DRAW,
      }));
      return { paths, prmTokens };
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  }

  stats() {
    return { ...this.counts };
  }

  close(): Promise<void> {
    this.closing ??= this.server.close();
    return this.closing;
  }

  /** P(the first of two is better). */
  private async compare(
    problem: Problem,
    [first, second]: readonly [Step, Step],
    pictures: readonly string[],
    signal: AbortSignal,
  ): Promise<{ chance: number; tokens: number }> {
    const text = `Problem:\n${questionText(problem)}\n\nSolution A:\n${first}\n\nSolution B:\n${second}\n\nWhich is better, A or B?`;
    const messages = [
      ...systemMessage(this.options.systemPrompt ?? judgePrompt),
      withPictures('user', pictures, escapeMarkers(text, [])),
    ];
    const fields = { logprobs: true, top_logprobs: this.options.topLogprobs };
    const request = { messages, maxTokens: this.options.maxTokens, fields };
    let tokens = 0;
    for (let attempt = 0; attempt < 2; attempt++) {
      this.counts.comparisons++;
      if (attempt > 0) this.counts.askedAgain++;
      const reply = await chat(this.server, request, { affinity: problem.id, signal });
      tokens += reply.computedTokens;
      const chance = readVerdict(reply);
      if (chance !== null) return { chance, tokens };
    }
    throw new SteptreeError(
      'SCORE_REPLY_INVALID',
      `${this.name} named neither A nor B for two solutions of problem ${problem.id}, twice; raise --pairwise-max-tokens, or take a judge that follows instructions`,
      { problemId: problem.id, server: this.server.name },
    );
  }
}

/** P(A) at the last token that is an A or a B; 0 or 1 where the server gives no log-probabilities;
 *  null if neither letter is in the reply. */
export function readVerdict({ text, tokens }: ChatReply): number | null {
  const verdict = [...tokens].reverse().find((token) => letterOf(token.token) !== null);
  if (verdict !== undefined && verdict.top.length > 0) {
    const sums = { A: 0, B: 0 };
    for (const { token, logprob } of verdict.top) {
      const letter = letterOf(token);
      if (letter) sums[letter] += Math.exp(logprob);
    }
    const logOf = (sum: number) => (sum > 0 ? Math.log(sum) : undefined);
    const lowest = Math.min(...verdict.top.map((one) => one.logprob));
    const reading = readPair(logOf(sums.A), logOf(sums.B), lowest);
    if (reading) return reading.probability;
  }
  const said = (text.split('</think>').at(-1) ?? '').match(/\b[AB]\b/g)?.at(-1);
  return said === undefined ? null : said === 'A' ? 1 : 0;
}

function letterOf(token: string): 'A' | 'B' | null {
  const letter = /^[\s[("*{]*([AB])[\s\])"*}.]*$/.exec(token)?.[1];
  return letter === 'A' || letter === 'B' ? letter : null;
}

/** Mean chance of winning over the games of each player.
 *  @param chances two per pair: P(first wins) asked as (first, second), then P(second wins) */
function winRates(
  players: number,
  pairs: readonly (readonly [number, number])[],
  chances: readonly number[],
): number[] {
  const sums = new Float64Array(players);
  const games = new Float64Array(players);
  pairs.forEach(([first, second], index) => {
    const forFirst = ((chances[2 * index] ?? DRAW) + 1 - (chances[2 * index + 1] ?? DRAW)) / 2;
    sums[first] = (sums[first] ?? 0) + forFirst;
    sums[second] = (sums[second] ?? 0) + 1 - forFirst;
    games[first] = (games[first] ?? 0) + 1;
    games[second] = (games[second] ?? 0) + 1;
  });
  return Array.from(sums, (sum, player) => {
    const played = games[player] ?? 0;
    return played === 0 ? DRAW : sum / played;
  });
}

function shuffled(count: number, seed: string): number[] {
  const random = createRandom(seed);
  const order = Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other] as number, order[last] as number];
  }
  return order;
}

function closedError(name: string): SteptreeError {
  return new SteptreeError(
    'SCORE_HOST_CLOSED',
    `${name} was closed; scores must be asked for before close()`,
    { host: name },
  );
}
