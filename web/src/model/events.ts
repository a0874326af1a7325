/** Server-sent events. */

export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

/** Server-sent events as the HTML standard has them, but for `id` and `retry`. */
export async function* parseEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body
    .pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    .getReader();
  let buffer = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    // A line's end may be cut in two.
    const isHalf = value.endsWith('\r');
    const seen = Math.max(0, buffer.length - 1);
    buffer += (isHalf ? value.slice(0, -1) : value).replaceAll('\r\n', '\n');
    let from = seen;
    for (let end = buffer.indexOf('\n\n', from); end >= 0; end = buffer.indexOf('\n\n', from)) {
      const event = parseEvent(buffer.slice(0, end));
      buffer = buffer.slice(end + 2);
      from = 0;
      if (event) yield event;
    }
  }
}

function parseEvent(text: string): ServerEvent | null {
  let event = 'message';
  const data: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('event:')) event = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
  }
  return data.length === 0 ? null : { event, data: data.join('\n') };
}
