import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of the installed package: compiled code lies in dist/src/config/. */
export const PACKAGE_DIR = fileURLToPath(new URL('../../..', import.meta.url));

export function packageVersion(): string {
  const text = readFileSync(join(PACKAGE_DIR, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
