import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runInNamespace, simpleProblems, temporaryFolder, writeJsonl } from '../support/cli.js';

const folder = temporaryFolder();
const canMount = runInNamespace('mount -t tmpfs none /mnt').code === 0;

it.skipIf(!canMount)(
  'on a full disk: one sentence, exit 1, and more space resumes to the same bytes (needs unshare)',
  () => {
    const problems = writeJsonl(join(folder, 'problems.jsonl'), simpleProblems(30));
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    const command = `steptree label ${problems} --policy simulated --quiet --concurrency 4 --out`;
    const { stdout, stderr } = runInNamespace(`
    mount -t tmpfs -o size=1500k none ${disk}
    ${command} ${disk}/run; echo "first $?"
    mount -o remount,size=100m ${disk}
    ${command} ${disk}/run; echo "second $?"
    ${command} ${folder}/whole
    diff -r ${disk}/run/trees ${folder}/whole/trees && echo "trees equal"
    cmp ${disk}/run/labels.jsonl ${folder}/whole/labels.jsonl && echo "labels equal"`);
    expect(stdout).toBe('first 1\nsecond 0\ntrees equal\nlabels equal\n');
    const sentences = stderr.split('\n').filter((line) => line.startsWith('steptree: '));
    expect(sentences).toHaveLength(1);
    expect(sentences[0]).toMatch(/cannot write.*[Ff]ree some space.*_WRITE_FAILED\]$/);
    expect(stderr).not.toMatch(/Node\.js v|node:internal/);
  },
);
