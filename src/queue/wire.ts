/** Values as they lie in Redis: msgpack, deflated where that pays, behind one byte that says which. */
import { promisify } from 'node:util';
import { deflateRaw, deflateRawSync, inflateRaw, inflateRawSync } from 'node:zlib';
import { Packr } from 'msgpackr';
import type { Usage } from '../../search/types.js';

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

// The global pack() of msgpackr shares structures between calls; the other side has none of them.
const packr = new Packr({ useRecords: false });

const PLAIN = 0;
const DEFLATED = 1;

/** Smaller values aren't worth deflating. */
const DEFLATE_BYTES = 1024;

/** Sequential on purpose: replies must reach Redis in the order in which they were put. */
export function packSmall(value: unknown): Buffer {
  const bytes = packr.pack(value);
  return bytes.length < DEFLATE_BYTES
    ? framed(PLAIN, bytes)
    : framed(DEFLATED, deflateRawSync(bytes, { level: 1 }));
}

export function unpackSmall(bytes: Buffer): unknown {
  const body = bytes.subarray(1);
  return packr.unpack(bytes[0] === DEFLATED ? inflateRawSync(body) : body);
}

/** What a worker found: a tree, or why there is none. */
export type JobResult =
  | { readonly status: 'done'; readonly tree: string; readonly usage: Usage }
  | {
      readonly status: 'failed';
      readonly code: string;
      readonly message: string;
      readonly usage: Usage;
    };

/** Megabytes of tree are deflated beside the event loop. */
export async function packResult(result: JobResult): Promise<Buffer> {
  return framed(DEFLATED, await deflate(packr.pack(result), { level: 1 }));
}

export async function unpackResult(bytes: Buffer): Promise<JobResult> {
  const body = bytes.subarray(1);
  return packr.unpack(bytes[0] === DEFLATED ? await inflate(body) : body) as JobResult;
}

function framed(kind: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.of(kind), body]);
}
