import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FIXTURES } from './golden.js';

/** Tests that need the folder are skipped, by their names, where it is missing. */
export const hasFixtures = existsSync(FIXTURES);

export function fixture(path: string): string {
  return join(FIXTURES, path);
}

export function fixtureLines<T>(path: string): T[] {
  const text = readFileSync(fixture(path), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}
