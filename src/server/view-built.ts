/** The page that `vite build` made, from the package. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { SteptreeError } from '../../search/errors.js';
import { PACKAGE_DIR } from '../config/version.js';

export interface BuiltFile {
  readonly type: string;
  readonly bytes: Buffer;
}

/** The page's files by their names, `index.html` and `assets/…`; all in memory, some 100 kB. */
export type BuiltPage = ReadonlyMap<string, BuiltFile>;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

/** @throws SteptreeError VIEW_NOT_BUILT */
export function readBuiltPage(dir: string = join(PACKAGE_DIR, 'dist', 'web')): BuiltPage {
  if (!existsSync(join(dir, 'index.html'))) {
    throw new SteptreeError(
      'VIEW_NOT_BUILT',
      `the viewer's page is not in ${dir}; run npm run build, or install the package again`,
      { dir },
    );
  }
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' });
  return new Map(
    names.flatMap((name): [string, BuiltFile][] => {
      const type = TYPES[extname(name)];
      if (type === undefined) return [];
      return [[name.replaceAll('\\', '/'), { type, bytes: readFileSync(join(dir, name)) }]];
    }),
  );
}

/** The page may load its own files and pictures that it was given, and nothing else; text of models
 *  that got into the page as markup could do nothing. */
export const PAGE_CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "font-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
