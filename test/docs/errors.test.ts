import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PRM_ERROR_CODES } from '../../prm/errors.js';
import { SEARCH_ERROR_CODES } from '../../search/errors.js';
import { OPTION_ERROR_CODES } from '../../src/config/errors.js';
import { DATA_ERROR_CODES } from '../../src/data/errors.js';
import { EVALUATE_ERROR_CODES } from '../../src/evaluate/errors.js';
import { POLICY_ERROR_CODES } from '../../src/policy/errors.js';
import { ONNX_ERROR_CODES } from '../../src/policy/onnx/errors.js';
import { SPLITTER_ERROR_CODES } from '../../src/policy/splitter.js';
import { QUEUE_ERROR_CODES } from '../../src/queue/errors.js';
import { RUNTIME_ERROR_CODES } from '../../src/runtime/errors.js';
import { SERVER_ERROR_CODES } from '../../src/server/errors.js';
import { VIEW_ERROR_CODES } from '../../src/server/view-errors.js';
import { SETS_ERROR_CODES } from '../../src/sets/errors.js';
import { VERIFY_ERROR_CODES } from '../../src/verify/errors.js';

const declared = new Set<string>(
  [
    SEARCH_ERROR_CODES,
    PRM_ERROR_CODES,
    OPTION_ERROR_CODES,
    DATA_ERROR_CODES,
    POLICY_ERROR_CODES,
    ONNX_ERROR_CODES,
    SPLITTER_ERROR_CODES,
    RUNTIME_ERROR_CODES,
    QUEUE_ERROR_CODES,
    VERIFY_ERROR_CODES,
    SERVER_ERROR_CODES,
    EVALUATE_ERROR_CODES,
    VIEW_ERROR_CODES,
    SETS_ERROR_CODES,
  ].flat(),
);

/** First argument of every `new SteptreeError(...)` of the product's code. */
function raised(): Set<string> {
  const codes = new Set<string>();
  for (const top of ['search', 'prm', 'src']) {
    for (const name of readdirSync(top, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue;
      const text = readFileSync(join(top, name), 'utf8');
      for (const [, code] of text.matchAll(/new SteptreeError\(\s*'([A-Z_0-9]+)'/g)) {
        codes.add(code ?? '');
      }
    }
  }
  return codes;
}

it('every raised error code is declared in its folder', () => {
  expect([...raised()].filter((code) => !declared.has(code))).toEqual([]);
});

it('docs/errors.md lists exactly the declared codes', () => {
  const text = readFileSync('docs/errors.md', 'utf8');
  const documented = new Set([...text.matchAll(/`([A-Z]+_[A-Z0-9_]+)`/g)].map(([, code]) => code));
  expect([...documented].sort()).toEqual([...declared].sort());
});
