/** Rows of Parquet files as the field publishes them: pictures as cells {bytes, path}. */

import * as zlib from 'node:zlib';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { type Compressors, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { asyncBufferFromFile } from 'hyparquet/src/node.js';
import { errorMessage, SteptreeError } from '../../search/errors.js';
import type { Fields } from './types.js';

/** Rows are read so many at a time, since each may hold a picture. */
const rowsAtOnce = 200;

const compressors: Compressors = {
  GZIP: (input) => new Uint8Array(gunzipSync(input)),
  BROTLI: (input) => new Uint8Array(brotliDecompressSync(input)),
  ZSTD: (input) => {
    const { zstdDecompressSync } = zlib as {
      zstdDecompressSync?: (bytes: Uint8Array) => Uint8Array;
    };
    if (!zstdDecompressSync) throw new Error('Zstandard needs Node 22.15 or later');
    return new Uint8Array(zstdDecompressSync(input));
  },
};

/** @throws SteptreeError SET_FILES_UNREADABLE */
export async function* readParquet(path: string): AsyncGenerator<Fields> {
  try {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const total = Number(metadata.num_rows);
    for (let rowStart = 0; rowStart < total; rowStart += rowsAtOnce) {
      const rowEnd = Math.min(total, rowStart + rowsAtOnce);
      const rows = await parquetReadObjects({
        file,
        metadata,
        compressors,
        rowStart,
        rowEnd,
        utf8: false,
      });
      for (const row of rows) yield plain(row) as Fields;
    }
  } catch (cause) {
    throw new SteptreeError(
      'SET_FILES_UNREADABLE',
      `cannot read ${path} as Parquet: ${errorMessage(cause)}; download it again, or give the set's JSON file`,
      { path },
      { cause },
    );
  }
}

/** BigInts as numbers where they fit, so that records look as they do in JSON. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  }
  if (value instanceof Uint8Array || value === null || typeof value !== 'object') return value;
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, plain);
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}
