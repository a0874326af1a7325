import { z } from 'zod';
import { SteptreeError } from '../../search/errors.js';
import {
  consensusOptions,
  estimateOptions,
  omegaPrmOptions,
  pathOptions,
  stepRolloutsOptions,
} from '../../search/labels/options.js';
import type { LabelOptions } from '../runtime/label-problem.js';
import { readSettings } from './spec.js';

/** A labeller with its options: one row of a comparison. */
export interface MeasuredMethod {
  /** As the user wrote it, `step-rollouts:numRollouts=8`. */
  readonly label: string;
  readonly method: keyof typeof METHOD_OPTIONS;
  readonly options: LabelOptions;
}

/** Options that a specification may set. The judge of `consensus` changes what becomes of labels,
 *  not how well they are estimated, so it is not among the methods. */
const METHOD_OPTIONS = {
  'step-rollouts': z.strictObject({ ...estimateOptions.shape, ...stepRolloutsOptions.shape }),
  omegaprm: z.strictObject({ ...estimateOptions.shape, ...omegaPrmOptions.shape }),
};

/** What `label` takes, with all defaults. */
const allOptions = z.strictObject({
  ...estimateOptions.shape,
  ...omegaPrmOptions.shape,
  ...stepRolloutsOptions.shape,
  ...consensusOptions.shape,
  ...pathOptions.shape,
});

/** @throws SteptreeError OPTION_INVALID */
export function makeMethods(specs: readonly string[]): MeasuredMethod[] {
  const labels = new Set<string>();
  return specs.map((label) => {
    const fail = (reason: string) => invalid(label, reason);
    if (labels.has(label)) throw fail('it is listed twice');
    labels.add(label);
    const [name = '', ...settings] = label.split(':');
    if (!isMethod(name)) throw fail('there is no such method');
    const known = Object.keys(METHOD_OPTIONS[name].shape);
    const parsed = allOptions.safeParse(readSettings(settings, known, fail));
    if (parsed.success) return { label, method: name, options: parsed.data };
    const issue = parsed.error.issues[0];
    throw fail(`${String(issue?.path[0] ?? 'options')}: ${issue?.message ?? 'invalid'}`);
  });
}

function isMethod(name: string): name is MeasuredMethod['method'] {
  return Object.hasOwn(METHOD_OPTIONS, name);
}

function invalid(label: string, reason: string): SteptreeError {
  const names = Object.keys(METHOD_OPTIONS).join(', ');
  return new SteptreeError(
    'OPTION_INVALID',
    `--method "${label}": ${reason}; write NAME or NAME:OPTION=VALUE, with NAME one of ${names}`,
    { option: 'method', method: label },
  );
}
