import { resolve } from 'node:path';
import { Command } from 'commander';
import { addKey, readKeys, revokeKey } from '../server/keys.js';

/** API keys of the service: made, listed and revoked while it runs. */
export function serveKeysCommand(): Command {
  const keys = new Command('keys').description('API keys of the service, stored as hashes');
  const withFile = (command: Command) =>
    keys.addCommand(command.requiredOption('--keys <file>', 'file of keys, as given to serve'));
  withFile(
    new Command('add')
      .description('make a key and print it; it is shown once only')
      .option('--name <text>', 'what the key is for', '')
      .action(async (given: { keys: string; name: string }) => {
        const { key, record } = await addKey(resolve(given.keys), given.name);
        process.stderr.write(`key ${record.id} is in ${given.keys} as a hash; keep this:\n`);
        process.stdout.write(`${key}\n`);
      }),
  );
  withFile(
    new Command('list')
      .description('list ids, names and dates; the keys themselves are not stored')
      .action((given: { keys: string }) => {
        for (const { id, created, name } of readKeys(resolve(given.keys))) {
          process.stdout.write(`${id}  ${created}  ${name}\n`);
        }
      }),
  );
  withFile(
    new Command('revoke')
      .description('revoke a key; a running service refuses it at once')
      .argument('<id>', 'id or name of the key')
      .action(async (id: string, given: { keys: string }) => {
        const record = await revokeKey(resolve(given.keys), id);
        process.stderr.write(`key ${record.id} is revoked\n`);
      }),
  );
  return keys;
}
