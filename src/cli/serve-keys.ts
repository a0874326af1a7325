import { resolve } from 'node:path';
import { Command } from 'commander';
import { SteptreeError } from '../../search/errors.js';
import { addKey, readKeys, revokeKey } from '../server/keys.js';

/** API keys of the service: made, listed and revoked while it runs. */
export function serveKeysCommand(): Command {
  const keys = new Command('keys').description('API keys of the service, stored as hashes');
  const withFile = (command: Command) =>
    keys.addCommand(command.option('--keys <file>', 'file of keys, as given to serve'));
  withFile(
    new Command('add')
      .description('make a key and print it; it is shown once only')
      .option('--name <text>', 'what the key is for', '')
      .action(async ({ name }: { name: string }, command: Command) => {
        const file = fileOf(command);
        const { key, record } = await addKey(file, name);
        process.stderr.write(`key ${record.id} is in ${file} as a hash; keep this:\n`);
        process.stdout.write(`${key}\n`);
      }),
  );
  withFile(
    new Command('list')
      .description('list ids, dates and names; the keys themselves are not stored')
      .action((_given: object, command: Command) => {
        for (const { id, created, name } of readKeys(fileOf(command))) {
          process.stdout.write(`${id}  ${created}  ${name}\n`);
        }
      }),
  );
  withFile(
    new Command('revoke')
      .description('revoke a key; a running service refuses it at once')
      .argument('<id>', 'id or name of the key')
      .action(async (id: string, _given: object, command: Command) => {
        const record = await revokeKey(fileOf(command), id);
        process.stderr.write(`key ${record.id} is revoked\n`);
      }),
  );
  return keys;
}

/** `serve` has the option too, and takes it wherever it stands.
 *  @throws SteptreeError OPTION_INVALID */
function fileOf(command: Command): string {
  const { keys } = command.optsWithGlobals<{ keys?: string }>();
  if (keys !== undefined && keys !== '') return resolve(keys);
  throw new SteptreeError('OPTION_INVALID', '--keys FILE is missing: the file of keys', {
    option: 'keys',
  });
}
