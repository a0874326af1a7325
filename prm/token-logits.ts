/** Step scores from a generative model: P(positive) of two tokens after each step. */
import { SteptreeError } from '../search/errors.js';
import type { Problem, Step } from '../search/types.js';
import {
  type ChatReply,
  chat,
  type PairReading,
  type PromptPlace,
  readPair,
  type TokenChance,
  type WrittenToken,
} from './chat.js';
import { countError } from './check.js';
import { pathKey } from './content-key.js';
import { ExactTokens } from './exact-tokens.js';
import { LruMap } from './lru.js';
import type { PromptOptions, TokenLogitsOptions } from './options.js';
import type { ImageEncoder, ModelServer, PathHost, PathJob, ScoredPath } from './ports.js';
import { placesOf, solutionLikelihoods } from './solution-likelihood.js';
import { createTemplate, type StepTemplate } from './templates.js';
import { Vocabulary } from './vocabulary.js';
import { firstWeights, type ScoreWeights, weighedScore } from './weighed-score.js';

export interface TokenLogitsHost extends PathHost {
  stats(): {
    /** Token pairs read, and of these the ones where a token was not among those returned. */
    readonly readings: number;
    readonly missing: number;
  };
}

/** A PRM behind `/chat/completions`, read as MM-PRM (arXiv 2505.13427), VisualPRM (2503.10291) and
 *  VL-PRM (2509.23250) are trained: softmax over two tokens at each step.
 *  - `per-step`: one generated token a step, any server with `logprobs`. A step's score depends on
 *    nothing after it, so the scores of a parent path are not asked again for its child. Where the
 *    two tokens are not among the likeliest they are asked for by their ids, if the server can.
 *  - `prompt-logprobs`: one call a path, vLLM only. This one can weigh the solution's likelihood too.
 *  Jobs fail with SCORE_TOKENS_MISSING, SCORE_TOKEN_INVALID, SCORE_COUNT, SCORE_MODE_UNSUPPORTED,
 *  SCORE_REPLY_INVALID and what the server and the encoder throw.
 *  @throws SteptreeError OPTION_INVALID for a likelihood in another mode or template */
export function createTokenLogitsHost(
  server: ModelServer,
  images: ImageEncoder,
  options: TokenLogitsOptions & PromptOptions,
): TokenLogitsHost {
  return new TokenLogits(server, images, options);
}

interface StepScore {
  readonly probability: number;
  readonly computedTokens: number;
}

class TokenLogits implements TokenLogitsHost {
  readonly name: string;
  readonly scores = 'steps';
  readonly batchSize = 1;
  private readonly template: StepTemplate;
  private readonly vocabulary: Vocabulary;
  private readonly exact: ExactTokens;
  private readonly weights: ScoreWeights;
  private readonly knownSteps: LruMap<number>;
  /** Steps that are being asked for: solutions often begin alike. */
  private readonly askedSteps = new Map<string, Promise<number>>();
  private readings = 0;
  private missing = 0;

  constructor(
    private readonly server: ModelServer,
    private readonly images: ImageEncoder,
    private readonly options: TokenLogitsOptions & PromptOptions,
  ) {
    this.name = `token-logits ${server.name}`;
    this.template = createTemplate(options);
    this.vocabulary = new Vocabulary(server);
    const { positive, negative } = this.template;
    this.exact = new ExactTokens(this.vocabulary, [positive, negative]);
    this.knownSteps = new LruMap(options.knownSteps);
    this.weights = firstWeights(options);
    if (this.weighsLikelihood) checkLikelihoodOptions(options);
  }

  scorePaths(jobs: readonly PathJob[]): readonly Promise<ScoredPath>[] {
    return jobs.map((job) =>
      this.options.mode === 'per-step' ? this.stepByStep(job) : this.onePass(job),
    );
  }

  stats() {
    return { readings: this.readings, missing: this.missing };
  }

  close(): Promise<void> {
    return this.server.close();
  }

  private async stepByStep({ problem, steps, signal }: PathJob): Promise<ScoredPath> {
    const pictures = await this.pictures(problem);
    const failed = new AbortController();
    // One lost step makes the path worthless: its other requests are closed then.
    const either = AbortSignal.any([signal, failed.signal]);
    try {
      const scores = await Promise.all(
        steps.map((_, index) =>
          this.stepScore(problem, steps.slice(0, index + 1), pictures, either),
        ),
      );
      return {
        scores: { steps: scores.map((score) => score.probability) },
        prmTokens: scores.reduce((sum, score) => sum + score.computedTokens, 0),
      };
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  }

  private async stepScore(
    problem: Problem,
    steps: readonly Step[],
    pictures: readonly string[],
    signal: AbortSignal,
  ): Promise<StepScore> {
    const key = pathKey(problem, steps);
    const known = this.knownSteps.get(key);
    if (known !== undefined) return { probability: known, computedTokens: 0 };
    const shared = this.askedSteps.get(key);
    if (shared !== undefined) {
      try {
        return { probability: await shared, computedTokens: 0 };
      } catch {
        // That may have been the other path's abort: this one asks itself.
        signal.throwIfAborted();
      }
    }
    const asked = this.askStep(problem, steps, pictures, signal);
    const probability = asked.then((score) => score.probability);
    // Whoever shares it looks at it; if nobody does, `asked` tells of the failure.
    probability.catch(() => {});
    this.askedSteps.set(key, probability);
    try {
      const score = await asked;
      this.knownSteps.set(key, score.probability);
      return score;
    } finally {
      if (this.askedSteps.get(key) === probability) this.askedSteps.delete(key);
    }
  }

  private async askStep(
    problem: Problem,
    steps: readonly Step[],
    pictures: readonly string[],
    signal: AbortSignal,
  ): Promise<StepScore> {
    const { messages, continueLast } = this.template.asking(problem, steps, pictures);
    const call = { affinity: problem.id, signal };
    const ask = () => {
      const fields = {
        ...this.logprobFields(),
        ...this.exact.fields,
        ...(continueLast ? { continue_final_message: true, add_generation_prompt: false } : {}),
      };
      return chat(this.server, { messages, maxTokens: 1, fields }, call);
    };
    let reply = await ask();
    let { computedTokens } = reply;
    const lacks = (one: ChatReply) => {
      const written = one.tokens[0];
      return written !== undefined && this.pairOf(written)?.missing !== null;
    };
    if (lacks(reply) && (await this.exact.learn(signal))) {
      reply = await ask();
      computedTokens += reply.computedTokens;
      if (lacks(reply)) this.exact.giveUp();
    }
    return { probability: this.readWritten(reply, problem, steps.length), computedTokens };
  }

  private async onePass({ problem, steps, signal }: PathJob): Promise<ScoredPath> {
    const call = { affinity: problem.id, signal };
    const messages = this.template.whole(problem, steps, await this.pictures(problem));
    const fields = {
      ...this.logprobFields(),
      add_generation_prompt: false,
      prompt_logprobs: this.options.topLogprobs,
      return_token_ids: true,
    };
    const [reply, positive, negative] = await Promise.all([
      chat(this.server, { messages, maxTokens: 1, fields }, call),
      this.vocabulary.tokenOf(this.template.positive),
      this.vocabulary.tokenOf(this.template.negative),
    ]);
    const places = reply.promptLogprobs;
    if (places === undefined) {
      throw new SteptreeError(
        'SCORE_MODE_UNSUPPORTED',
        `${this.server.name} returns no prompt_logprobs; use the per-step mode, which every server with logprobs has`,
        { server: this.server.name },
      );
    }
    const ids = reply.promptTokenIds ?? (await this.vocabulary.conversation(messages, false, call));
    if (ids.length !== places.length) {
      throw new SteptreeError(
        'SCORE_MODE_UNSUPPORTED',
        `${this.server.name} gives ${places.length} prompt log-probabilities for ${ids.length} prompt tokens, so steps can't be found among them; use a vLLM that knows return_token_ids (0.10.2 or later), or the per-step mode`,
        { server: this.server.name, places: places.length, tokens: ids.length },
      );
    }
    const answers = await this.answerPlaces(ids, positive);
    if (answers.length !== steps.length) {
      throw countError(this.name, answers.length, steps.length, problem.id);
    }
    const likelihoods = this.weighsLikelihood
      ? await solutionLikelihoods({ ids, places, answers, messages }, this.vocabulary, call)
      : [];
    const probabilities = answers.map((place, index) => {
      const likelihood = likelihoods[index] ?? 0;
      // After the last token of the prompt stands what was generated.
      if (place === places.length) return this.readWritten(reply, problem, index + 1, likelihood);
      const chances = places[place] ?? {};
      const [yes, no] = [chances[positive]?.logprob, chances[negative]?.logprob];
      const lowest = lowestOfLikeliest(chances, ids[place], this.options.topLogprobs);
      return this.account(readPair(yes, no, lowest), problem, index + 1, likelihood);
    });
    return { scores: { steps: probabilities }, prmTokens: reply.computedTokens };
  }

  /** The places of the prompt whose chances are the answers: those after each marker, or those of
   *  the answers that stand in the assistant's turns. These are found by the whole opening of a
   *  turn, since "+" is an ordinary token of mathematics too. */
  private async answerPlaces(ids: readonly number[], positive: number): Promise<number[]> {
    const { marker } = this.template;
    if (marker !== null) {
      const markerId = await this.vocabulary.tokenOf(marker);
      return ids.flatMap((id, index) => (id === markerId ? [index + 1] : []));
    }
    const header = await this.vocabulary.assistantHeader();
    const pattern = [...header, positive];
    return placesOf(pattern, ids).map((place) => place + header.length);
  }

  private get weighsLikelihood(): boolean {
    return this.weights.likelihoodWeight !== 0;
  }

  private readWritten(reply: ChatReply, problem: Problem, step: number, likelihood = 0): number {
    const written = reply.tokens[0];
    if (written === undefined) {
      throw new SteptreeError(
        'SCORE_MODE_UNSUPPORTED',
        `${this.server.name} returns no logprobs; a server that gives the probabilities of its tokens is needed, or the critic host`,
        { server: this.server.name },
      );
    }
    return this.account(this.pairOf(written), problem, step, likelihood);
  }

  private pairOf(written: WrittenToken): PairReading | null {
    const chances: readonly TokenChance[] = [...written.top, written];
    const chanceOf = (token: string) => chances.find((one) => one.token === token)?.logprob;
    const lowest = Math.min(...chances.map((one) => one.logprob));
    const { positive, negative } = this.template;
    return readPair(chanceOf(positive), chanceOf(negative), lowest);
  }

  private account(
    reading: PairReading | null,
    problem: Problem,
    step: number,
    likelihood: number,
  ): number {
    this.readings++;
    if (reading === null) {
      const { positive, negative } = this.template;
      throw new SteptreeError(
        'SCORE_TOKENS_MISSING',
        `${this.server.name} gives neither ${JSON.stringify(positive)} nor ${JSON.stringify(negative)} among its ${this.options.topLogprobs} likeliest tokens after step ${step} of problem ${problem.id}; check the template and the tokens (white space counts), or ask for more with --prm-top-logprobs (a vLLM gives as many as its --max-logprobs)`,
        { server: this.server.name, problemId: problem.id, step, positive, negative },
      );
    }
    if (reading.missing !== null) this.missing++;
    return weighedScore(reading.logOdds, likelihood, this.weights);
  }

  private logprobFields(): Record<string, unknown> {
    return { logprobs: true, top_logprobs: this.options.topLogprobs };
  }

  private async pictures(problem: Problem): Promise<string[]> {
    if (!this.options.images) return [];
    return Promise.all(problem.images.map((image) => this.images.dataUrl(image)));
  }
}

/** An upper bound of every chance that is not given. A server adds the prompt's own token to its
 *  likeliest ones, however unlikely it is; that one bounds nothing.
 *  @param own id of the token that stands there */
function lowestOfLikeliest(
  chances: NonNullable<PromptPlace>,
  own: number | undefined,
  topLogprobs: number,
): number {
  const given = Object.entries(chances);
  const likeliest = given.length > topLogprobs ? given.filter(([id]) => id !== `${own}`) : given;
  return Math.min(...likeliest.map(([, { logprob }]) => logprob));
}

// Only there every token of the assistant's turn is a token of the solution, with its chance.
function checkLikelihoodOptions({ mode, template }: TokenLogitsOptions): void {
  if (mode === 'prompt-logprobs' && template === 'plain') return;
  throw new SteptreeError(
    'OPTION_INVALID',
    `--prm-likelihood-weight needs --prm-mode prompt-logprobs and --prm-template plain, got ${mode} and ${template}: only there the reply tells how likely each token of the solution is`,
    { option: 'prmLikelihoodWeight', mode, template },
  );
}
