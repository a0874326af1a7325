import type { Rollout, SampleRequest } from '../../../search/types.js';
import { together } from '../linked-abort.js';
import type { PromptParts } from './prompt.js';
import type { Choice, ParsedReply } from './replies.js';

/** What the sampler needs of its policy. */
export interface Asker {
  /** One reply with at least one choice and at most one per seed.
   *  @param wholeSolution leave the step's stop strings out */
  ask(
    request: SampleRequest,
    prompt: PromptParts,
    seeds: readonly number[],
    wholeSolution: boolean,
    signal: AbortSignal | undefined,
  ): Promise<ParsedReply>;
  rollout(choice: Choice, request: SampleRequest): Rollout;
  countAskedAgain(rollouts: number): void;
  /** The model writes the separator that ended the prefix once more. */
  noteSeparatorLost(): void;
}

/** Gathers the rollouts of one `sample` call from as many replies as that takes. */
export class Sampler {
  promptTokens = 0;
  cachedTokens = 0;

  constructor(
    private readonly policy: Asker,
    private readonly request: SampleRequest,
    private readonly prompt: PromptParts,
  ) {}

  /** One rollout per seed, in the order of the seeds. */
  async collect(seeds: readonly number[], signal: AbortSignal | undefined): Promise<Rollout[]> {
    const choices = await this.choices(seeds, false, signal);
    const rollouts = choices.map((choice) => this.policy.rollout(choice, this.request));
    const empty = choices.flatMap((choice, index) =>
      this.saysNothingNew(rollouts[index], choice) ? [{ choice, index }] : [],
    );
    await together(empty, signal, async ({ choice, index }, own) => {
      const first = rollouts[index] as Rollout;
      rollouts[index] = await this.again(first, choice, seeds[index] ?? 0, own);
    });
    return rollouts;
  }

  /** A reply with fewer choices than asked for is completed by asking for the missing ones; from
   *  a server that gives one at a time they are fetched side by side. */
  private async choices(
    seeds: readonly number[],
    whole: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Choice[]> {
    const reply = await this.policy.ask(this.request, this.prompt, seeds, whole, signal);
    this.promptTokens += reply.promptTokens;
    this.cachedTokens += reply.cachedTokens;
    const got = [...reply.choices];
    const missing = seeds.slice(got.length);
    if (missing.length === 0) return got;
    this.policy.countAskedAgain(missing.length);
    const parts = got.length === 1 ? missing.map((seed) => [seed]) : [missing];
    const rest = await together(parts, signal, (part, own) => this.choices(part, whole, own));
    return [...got, ...rest.flat()];
  }

  // In step mode a stop string can fire on the separator that ends the prefix, or on a repeated
  // step of the prefix. That tells nothing about the next step.
  private saysNothingNew(rollout: Rollout | undefined, choice: Choice): boolean {
    return (
      this.request.until === 'step' &&
      rollout?.steps.length === 0 &&
      choice.ended === 'stop' &&
      choice.stopString !== null
    );
  }

  private async again(
    empty: Rollout,
    first: Choice,
    seed: number,
    signal: AbortSignal | undefined,
  ): Promise<Rollout> {
    this.policy.countAskedAgain(1);
    if (first.text.trim() === '') this.policy.noteSeparatorLost();
    const [choice] = await this.choices([seed], true, signal);
    if (choice === undefined) return empty;
    const rollout = this.policy.rollout(choice, this.request);
    return {
      ...rollout,
      policyTokens: rollout.policyTokens + empty.policyTokens,
      // Without stop strings the text ran to its end: nothing in it means there is nothing.
      finish: rollout.steps.length === 0 && rollout.finish === 'step' ? 'end' : rollout.finish,
    };
  }
}
