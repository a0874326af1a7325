import { readFileSync } from 'node:fs';
import { errorMessage, SteptreeError } from '../../search/errors.js';

/** The options of a `--config` file: a JSON object of options in camel case.
 *  @throws SteptreeError OPTION_CONFIG_UNREADABLE */
export function readConfigFile(path: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new SteptreeError(
      'OPTION_CONFIG_UNREADABLE',
      `cannot read the config file ${path}: ${errorMessage(error)}; it must be a JSON object of options in camel case`,
      { path },
      { cause: error },
    );
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new SteptreeError(
      'OPTION_CONFIG_UNREADABLE',
      `the config file ${path} must hold a JSON object of options in camel case`,
      { path },
    );
  }
  return parsed as Record<string, unknown>;
}
