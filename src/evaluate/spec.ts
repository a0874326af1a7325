/** Options behind a name, as in `best-of-n:selection=weighted`.
 *  @param settings the parts after the name
 *  @param known names that may be set
 *  @param fail makes the error of a reason */
export function readSettings(
  settings: readonly string[],
  known: readonly string[],
  fail: (reason: string) => Error,
): Record<string, unknown> {
  const entries = settings.map((text): [string, unknown] => {
    const at = text.indexOf('=');
    const name = text.slice(0, at);
    if (at < 0 || !known.includes(name)) {
      throw fail(`"${text}" is no NAME=VALUE of its options (${known.join(', ')})`);
    }
    return [name, readValue(text.slice(at + 1))];
  });
  return Object.fromEntries(entries);
}

function readValue(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  const number = Number(text);
  return text.trim() === '' || Number.isNaN(number) ? text : number;
}
