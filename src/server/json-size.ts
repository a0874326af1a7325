/** Whether a parsed JSON value holds more than `limit` values. Checking a million tiny parts against a
 *  schema would stop the event loop for seconds; counting to the limit takes a moment. */
export function holdsMoreThan(value: unknown, limit: number): boolean {
  const open: unknown[] = [value];
  let seen = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== 'object' || next === null) continue;
    const inner = Object.values(next);
    seen += inner.length;
    if (seen > limit) return true;
    // Only what holds something is looked at again.
    for (const one of inner) if (typeof one === 'object' && one !== null) open.push(one);
  }
  return false;
}
