import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { labelOptions } from '../../src/cli/label-options.js';
import { addFlags, kebabCase, parseOptions } from '../../src/config/flags.js';
import { nearestName } from '../../src/config/nearest.js';
import { pickOptions, prefixShape } from '../../src/config/shapes.js';

const schema = z.strictObject({
  maxSteps: z.int().min(1).default(4).describe('how many'),
  fast: z.boolean().default(false).describe('hurry'),
  careful: z.boolean().default(true).describe('look twice'),
  mode: z.enum(['soft', 'hard']).default('soft').describe('which'),
  stop: z.array(z.string()).default([]).describe('where'),
});

function parsed(argv: string[], file: Record<string, unknown> = {}) {
  const command = new Command('x').exitOverride().configureOutput({ writeErr: () => {} });
  addFlags(command, schema, 'Things');
  command.parse(argv, { from: 'user' });
  return parseOptions(schema, command.opts(), file);
}

describe('flags made from a schema', () => {
  it('take the defaults of the schema, then the file, then the command line', () => {
    expect(parsed([])).toEqual({ maxSteps: 4, fast: false, careful: true, mode: 'soft', stop: [] });
    expect(parsed([], { maxSteps: 5, fast: true })).toMatchObject({ maxSteps: 5, fast: true });
    expect(parsed(['--max-steps', '6'], { maxSteps: 5 })).toMatchObject({ maxSteps: 6 });
  });

  it('turn a switch that is on by default off with --no-', () => {
    expect(parsed(['--no-careful', '--fast'])).toMatchObject({ careful: false, fast: true });
    expect(parsed([], { careful: false })).toMatchObject({ careful: false });
  });

  it('take several words for a list', () => {
    expect(parsed(['--stop', 'a', 'b'])).toMatchObject({ stop: ['a', 'b'] });
  });

  it('name the flag and what was got when a value is wrong', () => {
    expect(() => parsed(['--max-steps', 'many'])).toThrow(/--max-steps.*"many"/);
    expect(() => parsed(['--max-steps', '0'])).toThrow(/--max-steps/);
    expect(() => parsed(['--mode', 'soggy'])).toThrow(/soft, hard/);
  });

  it('name the nearest option for an unknown key of a config file', () => {
    expect(() => parsed([], { maxStep: 3 })).toThrow(/maxStep.*maxSteps/);
  });
});

it('finds the nearest name, or none if nothing is near', () => {
  expect(nearestName('anwser', ['answer', 'question'])).toBe('answer');
  expect(nearestName('temprature', ['temperature', 'topP'])).toBe('temperature');
  expect(nearestName('xylophone', ['answer', 'id'])).toBeNull();
});

it('keeps the options of two hosts apart by a prefix', () => {
  const all = z.strictObject({ maxSteps: z.number(), ...prefixShape('other', schema.shape) });
  const options = all.parse({ maxSteps: 1, otherMaxSteps: 9 }) as Record<string, unknown>;
  expect(pickOptions(schema, options, 'other')).toMatchObject({ maxSteps: 9 });
});

it('gives every option of label a line of help', () => {
  const silent = Object.entries(labelOptions.shape).filter(
    ([, field]) => !((field as z.ZodType).description ?? '').trim(),
  );
  expect(silent.map(([name]) => kebabCase(name))).toEqual([]);
});
