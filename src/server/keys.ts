import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { errorMessage, SteptreeError } from '../../search/errors.js';
import { writeFileAtomic } from '../data/files.js';

const keyRecord = z.strictObject({
  id: z.string().min(1),
  name: z.string(),
  /** SHA-256 of the key, hex. Keys hold 256 random bits, so a slow hash would add nothing. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  created: z.string(),
});

const keysFile = z.strictObject({ keys: z.array(keyRecord) });

export type KeyRecord = z.infer<typeof keyRecord>;

/** @returns no keys if the file isn't there
 *  @throws SteptreeError SERVE_KEYS_UNREADABLE */
export function readKeys(file: string): KeyRecord[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw unreadable(file, error);
  }
  try {
    return keysFile.parse(JSON.parse(text)).keys;
  } catch (error) {
    throw unreadable(file, error);
  }
}

/** Makes a key and stores its hash.
 *  @returns the key itself, which nobody can read again
 *  @throws SteptreeError SERVE_KEYS_UNREADABLE, FILE_WRITE_FAILED */
export async function addKey(
  file: string,
  name: string,
): Promise<{ readonly key: string; readonly record: KeyRecord }> {
  const keys = readKeys(file);
  const id = randomBytes(4).toString('hex');
  const key = `st-${id}-${randomBytes(32).toString('base64url')}`;
  const record = {
    id,
    name,
    sha256: sha256(key).toString('hex'),
    created: new Date().toISOString(),
  };
  await writeKeys(file, [...keys, record]);
  return { key, record };
}

/** @param idOrName of one key
 *  @throws SteptreeError SERVE_KEY_UNKNOWN */
export async function revokeKey(file: string, idOrName: string): Promise<KeyRecord> {
  const keys = readKeys(file);
  const found = keys.filter(({ id, name }) => id === idOrName || name === idOrName);
  const [record] = found;
  if (record === undefined || found.length > 1) {
    const why = record ? `${found.length} keys are named so; give the id` : 'no key has it';
    throw new SteptreeError('SERVE_KEY_UNKNOWN', `"${idOrName}" in ${file}: ${why}`, { file });
  }
  await writeKeys(
    file,
    keys.filter((one) => one !== record),
  );
  return record;
}

/** The keys of a file as they are now: it is read again once it has changed. */
export class KeyRing {
  private records: readonly { readonly id: string; readonly hash: Buffer }[] = [];
  private version = '';
  private lookedMs = Number.NEGATIVE_INFINITY;
  private hadKeys = false;

  /** @param file empty for none
   *  @throws SteptreeError SERVE_KEYS_UNREADABLE */
  constructor(
    private readonly file: string,
    private readonly onTrouble: (error: unknown) => void,
    private readonly now: () => number = () => performance.now(),
  ) {
    if (file !== '') this.load();
  }

  /** Whether anybody has to show a key. Once true it stays so: when the last key is revoked, nobody
   *  gets in. */
  get isRequired(): boolean {
    this.refresh();
    return this.hadKeys;
  }

  /** The id of the key, or null. Takes as long for a wrong key as for a right one. */
  idOf(key: string): string | null {
    this.refresh();
    const hash = sha256(key);
    let found: string | null = null;
    for (const record of this.records) {
      if (timingSafeEqual(record.hash, hash)) found = record.id;
    }
    return found;
  }

  private refresh(): void {
    if (this.file === '' || this.now() - this.lookedMs < LOOK_AGAIN_MS) return;
    this.lookedMs = this.now();
    if (versionOf(this.file) === this.version) return;
    try {
      this.load();
    } catch (error) {
      // A file that can't be read lets nobody in.
      this.records = [];
      this.hadKeys = true;
      this.version = '';
      this.onTrouble(error);
    }
  }

  private load(): void {
    const version = versionOf(this.file);
    this.records = readKeys(this.file).map(({ id, sha256: hex }) => {
      return { id, hash: Buffer.from(hex, 'hex') };
    });
    this.version = version;
    this.hadKeys ||= this.records.length > 0;
  }
}

const LOOK_AGAIN_MS = 200;

function versionOf(file: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(file);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return 'none';
  }
}

async function writeKeys(file: string, keys: readonly KeyRecord[]): Promise<void> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  await writeFileAtomic(file, `${JSON.stringify({ keys }, null, 2)}\n`);
  chmodSync(file, 0o600);
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function unreadable(file: string, cause: unknown): SteptreeError {
  return new SteptreeError(
    'SERVE_KEYS_UNREADABLE',
    `the keys file ${file} can't be read: ${errorMessage(cause).slice(0, 200)}; write it with \`steptree serve keys add\``,
    { file },
    { cause },
  );
}
