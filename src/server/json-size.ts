/** Whether a parsed JSON value holds more than `limit` values, or is nested deeper than `maxDepth`.
 *  Checking a million tiny parts against a schema would stop the event loop for seconds; counting to the
 *  limit takes a moment. And JSON.parse reads what is nested more deeply than anything can write. */
export function holdsMoreThan(value: unknown, limit: number, maxDepth = MAX_DEPTH): boolean {
  let seen = 0;
  let level = [value].filter(isHolder);
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) return true;
    const deeper: object[] = [];
    for (const one of level) {
      const inner: unknown[] = Object.values(one);
      seen += inner.length;
      if (seen > limit) return true;
      // Only what holds something is looked at again.
      for (const part of inner) if (isHolder(part)) deeper.push(part);
    }
    level = deeper;
  }
  return false;
}

const MAX_DEPTH = 100;

function isHolder(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
