import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { label } from '../../src/cli/label.js';
import { parseLabelOptions } from '../../src/cli/label-options.js';
import type { MeasuredServer } from './occupancy.js';

/** The default of --concurrency, which is for one server. */
const PROBLEMS_PER_REPLICA = 64;

/** The whole of `steptree label`, with its store, scheduler and answer checks, into a folder of its
 *  own that is removed afterwards. */
export async function wholeLabel({ url, problemsFile }: MeasuredServer): Promise<void> {
  const out = await mkdtemp(join(tmpdir(), 'steptree-engine-'));
  try {
    await label(
      problemsFile,
      join(out, 'run'),
      parseLabelOptions({ policy: url, concurrency: PROBLEMS_PER_REPLICA * url.split(',').length }),
      {
        signal: new AbortController().signal,
        quiet: true,
        log: (line) => process.stderr.write(`${line}\n`),
      },
    );
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}
