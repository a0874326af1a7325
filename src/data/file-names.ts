import { createHash } from 'node:crypto';

const ordinary = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,119}$/;
/** Names that Windows keeps for devices. */
const reserved = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/** File name of a problem's tree: the id itself where it is a plain name, else its letters and digits
 *  with a hash behind `~`, which no plain name holds. So it never leaves the folder, is never longer
 *  than 125 bytes, and two ids never share one (up to a collision of 96 bits of SHA-256). */
export function treeFileName(id: string): string {
  return `${safeFileName(id)}.json`;
}

function safeFileName(id: string): string {
  if (ordinary.test(id) && !reserved.test(id) && !id.endsWith('.')) return id;
  const readable = id.replace(/[^A-Za-z0-9_-]+/g, '_').slice(0, 60);
  const hash = createHash('sha256').update(id).digest('hex').slice(0, 24);
  return `${readable}~${hash}`;
}
