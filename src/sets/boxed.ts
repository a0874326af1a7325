import { extractAnswer } from '../verify/index.js';

/** Contents of all boxes, braces matched, in order. */
export function boxes(response: string): string[] {
  const found: string[] = [];
  for (const mark of response.matchAll(/\\(?:boxed|fbox)\s*\{/g)) {
    const start = mark.index + mark[0].length;
    let depth = 1;
    for (let at = start; at < response.length; at++) {
      const character = response[at];
      if (character === '\\') at++;
      else if (character === '{') depth++;
      else if (character === '}' && --depth === 0) {
        found.push(response.slice(start, at).trim());
        break;
      }
    }
  }
  return found;
}

/** The last box, else what our own extraction finds. */
export function boxedOrStated(response: string, choices: readonly string[] = []): string | null {
  return boxes(response).at(-1) ?? extractAnswer(response, choices)?.answer ?? null;
}
