import { SteptreeError } from '../../../search/errors.js';

/** The API key out of the environment, or undefined if no variable was named.
 *  @param flag the option that named the variable, for the message
 *  @throws SteptreeError POLICY_API_KEY_MISSING */
export function readApiKey(
  variable: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  flag: string,
): string | undefined {
  if (variable === undefined) return undefined;
  const key = env[variable]?.trim();
  if (key) return key;
  throw new SteptreeError(
    'POLICY_API_KEY_MISSING',
    `the environment variable ${variable} is not set; put the API key there, or leave ${flag} away`,
    { variable },
  );
}
