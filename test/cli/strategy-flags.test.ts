import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { STRATEGY_NAMES, strategyNamed } from '../../search/index.js';
import { parseSolveOptions, solveOptions } from '../../src/cli/solve-options.js';
import { strategyOptions, strategyShape } from '../../src/cli/strategy-flags.js';
import { addFlags } from '../../src/config/flags.js';
import { budgetOptions, policyOptions, samplingOptions } from '../../src/config/options.js';
import { scorerShape } from '../../src/scorer/index.js';
import { temporaryFolder } from '../support/cli.js';

const folder = temporaryFolder();

describe('flags of strategies', () => {
  it('give every strategy its own defaults where nothing is stated', () => {
    for (const name of STRATEGY_NAMES) {
      expect(strategyOptions(name, {}), name).toEqual(strategyNamed(name).options.parse({}));
    }
    expect(strategyOptions('beam', {}).aggregation).toBe('last');
    expect(strategyOptions('best-of-n', {}).aggregation).toBe('mean');
  });

  it('stand for one option each, whatever area it belongs to', () => {
    const areas = [policyOptions.shape, samplingOptions.shape, budgetOptions.shape, scorerShape];
    const taken = areas.flatMap((shape) => Object.keys(shape));
    expect(Object.keys(strategyShape).filter((name) => taken.includes(name))).toEqual([]);
    for (const name of Object.keys(strategyShape)) expect(solveOptions.shape).toHaveProperty(name);
  });

  it('tell in --help which strategies have the option, and with which default', () => {
    const command = new Command('solve');
    addFlags(command, z.strictObject(strategyShape), 'Strategy');
    const help = command.helpInformation().replace(/\s+/g, ' ');
    expect(help).toContain('--beam-width <n>');
    expect(help).toMatch(/default last in guided, beam, [^;)]*; mean in|default mean in best-of-n/);
    expect(help).toMatch(/--simulations <n> simulations at most \(mcts; default: 256\)/);
    expect(help).not.toMatch(/\(default: mean\)/);
  });

  it('are refused by name where the strategy has no such option', () => {
    const refuse = (strategy: string, stated: Record<string, unknown>) => () =>
      strategyOptions(strategy, stated);
    expect(refuse('majority', { beamWidth: 2 })).toThrow(
      '--beam-width is no option of majority; beam, dvts have it',
    );
    expect(refuse('greedy', { n: 4 })).toThrow(/--n is no option of greedy; majority, /);
    expect(refuse('beam', { simulations: 4 })).toThrow('mcts has it');
    expect(refuse('beam', { n: 0 })).toThrow(/^--n: /);
  });
});

describe('the options of solve', () => {
  const parse = (given: Record<string, unknown>) => parseSolveOptions({ question: 'q', ...given });

  it('choose majority without a reward model and best-of-n with one', () => {
    expect(parse({ policy: 'simulated' })).toMatchObject({
      strategy: 'majority',
      needsScorer: false,
      needsCritic: false,
    });
    expect(parse({ prmKind: 'rules' })).toMatchObject({ strategy: 'best-of-n', needsScorer: true });
    expect(parse({ prm: 'http://localhost:1/v1' }).strategy).toBe('best-of-n');
  });

  it('name the nearest strategy for one that is unknown', () => {
    expect(() => parse({ strategy: 'best-of-m' })).toThrow('did you mean "best-of-n"?');
    expect(() => parse({ strategy: 'oracle' })).toThrow(/unknown strategy "oracle"; choose one of/);
  });

  it('refuse models that the strategy would not ask', () => {
    expect(() => parse({ strategy: 'majority', prmKind: 'rules' })).toThrow(
      /--prm-kind has no use in majority/,
    );
    expect(() => parse({ strategy: 'majority', critic: 'http://localhost:1' })).toThrow(
      /--critic has no use in majority; .*refined-best-of-n/,
    );
  });

  it('ask for a critic where one is needed, and take --prm-kind critic for one', () => {
    const strategy = 'refined-best-of-n';
    const policy = 'http://localhost:2';
    expect(() => parse({ strategy, policy })).toThrow(
      /needs a critic; name its server or folder with --critic \(the embedded one knows the embedded/,
    );
    const shared = parse({ strategy, prmKind: 'critic', prm: 'http://localhost:1' });
    expect(shared).toMatchObject({ needsScorer: false, needsCritic: true });
    const both = parse({
      strategy,
      critic: 'http://localhost:1',
      prmKind: 'rules',
      scoreBy: 'prm',
    });
    expect(both).toMatchObject({ needsScorer: true, needsCritic: true });
  });

  it('take a config file, over which flags go', () => {
    const config = join(folder, 'solve.json');
    writeFileSync(
      config,
      JSON.stringify({ strategy: 'beam', prmKind: 'rules', n: 4, beamWidth: 2 }),
    );
    const { strategy, strategyOptions: options } = parse({ config, n: 6 });
    expect([strategy, options.n, options.beamWidth]).toEqual(['beam', 6, 2]);
    expect(() => parse({ config, strategy: 'best-of-n' })).toThrow(/--beam-width is no option of/);
    writeFileSync(config, JSON.stringify({ beamWith: 2 }));
    expect(() => parse({ config })).toThrow('did you mean "beamWidth"?');
  });

  it('want one problem, from one place', () => {
    const none = () => parseSolveOptions({});
    expect(none).toThrow('give --question TEXT, or --problem FILE with --id ID');
    expect(() => parse({ problem: 'p.jsonl' })).toThrow('--question stands beside --problem');
    expect(() => parseSolveOptions({ problem: 'p.jsonl', choices: ['a'] })).toThrow(
      '--choices belongs to --question',
    );
  });
});
