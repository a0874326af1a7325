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
} from './chat.js';
import { countError } from './check.js';
import { pathKey } from './content-key.js';
import { LruMap } from './lru.js';
import type { PromptOptions, TokenLogitsOptions } from './options.js';
import type {
  ImageEncoder,
  ModelServer,
  PathHost,
  PathJob,
  ScoredPath,
  ServerCall,
} from './ports.js';
import { type ChatMessage, withoutPictures } from './prompt.js';
import { createTemplate, type StepTemplate } from './templates.js';
import { Vocabulary } from './vocabulary.js';
import { firstWeights, LEAST_LOG_P, type ScoreWeights, weighedScore } from './weighed-score.js';

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
 *    nothing after it, so the scores of a parent path are not asked again for its child.
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

/** A prompt as the server read it. */
interface ReadPrompt {
  readonly ids: readonly number[];
  readonly places: readonly PromptPlace[];
  /** The place behind each marker. */
  readonly answers: readonly number[];
  /** The first token of the solution. */
  readonly start: number;
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
    const fields = {
      ...this.logprobFields(),
      ...(continueLast ? { continue_final_message: true, add_generation_prompt: false } : {}),
    };
    const call = { affinity: problem.id, signal };
    const reply = await chat(this.server, { messages, maxTokens: 1, fields }, call);
    const probability = this.readWritten(reply, problem, steps.length);
    return { probability, computedTokens: reply.computedTokens };
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
      this.vocabulary.tokenOf(this.template.positive, signal),
      this.vocabulary.tokenOf(this.template.negative, signal),
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
    const answers = await this.answerPlaces(ids, positive, signal);
    if (answers.length !== steps.length) {
      throw countError(this.name, answers.length, steps.length, problem.id);
    }
    const likelihoods = this.weighsLikelihood
      ? this.likelihoods({
          ids,
          places,
          answers,
          start: await this.solutionStart(ids, answers, messages, call),
        })
      : [];
    const probabilities = answers.map((place, index) => {
      const likelihood = likelihoods[index] ?? 0;
      // After the last token of the prompt stands what was generated.
      if (place === places.length) return this.readWritten(reply, problem, index + 1, likelihood);
      const chances = places[place] ?? {};
      const lowest = Math.min(...Object.values(chances).map((chance) => chance.logprob));
      const [yes, no] = [chances[positive]?.logprob, chances[negative]?.logprob];
      return this.account(readPair(yes, no, lowest), problem, index + 1, likelihood);
    });
    return { scores: { steps: probabilities }, prmTokens: reply.computedTokens };
  }

  /** The places of the prompt whose chances are the answers: those after each marker, or those of
   *  the answers that stand in the assistant's turns. These are found by the whole opening of a
   *  turn, since "+" is an ordinary token of mathematics too. */
  private async answerPlaces(
    ids: readonly number[],
    positive: number,
    signal: AbortSignal,
  ): Promise<number[]> {
    const { marker } = this.template;
    if (marker !== null) {
      const markerId = await this.vocabulary.tokenOf(marker, signal);
      return ids.flatMap((id, index) => (id === markerId ? [index + 1] : []));
    }
    const header = await this.vocabulary.assistantHeader(signal);
    const pattern = [...header, positive];
    return placesOf(pattern, ids).map((place) => place + header.length);
  }

  private get weighsLikelihood(): boolean {
    return this.weights.likelihoodWeight !== 0;
  }

  /** Log-likelihood of the solution up to each marker, markers left out: the token after one is
   *  predicted there, and counts. */
  private likelihoods({ ids, places, answers, start }: ReadPrompt): number[] {
    let sum = 0;
    return answers.map((answer, index) => {
      for (let place = answers[index - 1] ?? start; place < answer - 1; place++) {
        const logprob = places[place]?.[ids[place] ?? -1]?.logprob;
        if (logprob === undefined)
          throw this.promptError(`no chance of the token at place ${place}`);
        sum += Math.max(logprob, LEAST_LOG_P);
      }
      return sum;
    });
  }

  /** Where the assistant's text begins: behind the opening of its turn. A question may spell that
   *  out where the template has no control tokens, so its openings are counted too. */
  private async solutionStart(
    ids: readonly number[],
    answers: readonly number[],
    messages: readonly ChatMessage[],
    call: ServerCall,
  ): Promise<number> {
    const header = await this.vocabulary.assistantHeader(call.signal);
    const openings = placesOf(header, ids.slice(0, answers[0]));
    if (openings.length > 1) {
      const before = await this.vocabulary.conversation(
        messages.slice(0, -1).map(withoutPictures),
        true,
        call,
      );
      openings.splice(0, placesOf(header, before).length - 1);
    }
    const [opening] = openings;
    if (opening === undefined) throw this.promptError("no opening of the assistant's turn");
    return opening + header.length;
  }

  private promptError(lacks: string): SteptreeError {
    return new SteptreeError(
      'SCORE_MODE_UNSUPPORTED',
      `the prompt of ${this.server.name} shows ${lacks}, which the likelihood of a solution is read from; use a vLLM with a plain chat template, or leave --prm-likelihood-weight out`,
      { server: this.server.name },
    );
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
    const chances: readonly TokenChance[] = [...written.top, written];
    const chanceOf = (token: string) => chances.find((one) => one.token === token)?.logprob;
    const lowest = Math.min(...chances.map((one) => one.logprob));
    const { positive, negative } = this.template;
    const reading = readPair(chanceOf(positive), chanceOf(negative), lowest);
    return this.account(reading, problem, step, likelihood);
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
        `${this.server.name} gives neither ${JSON.stringify(positive)} nor ${JSON.stringify(negative)} among its ${this.options.topLogprobs} likeliest tokens after step ${step} of problem ${problem.id}; check the template and the tokens (white space counts), or ask for more with --prm-top-logprobs`,
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

/** Where a pattern begins. */
function placesOf(pattern: readonly number[], ids: readonly number[]): number[] {
  return ids.flatMap((_, index) =>
    pattern.every((id, offset) => ids[index + offset] === id) ? [index] : [],
  );
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
