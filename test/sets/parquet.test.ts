import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { answerSetNamed, readSet } from '../../src/sets/index.js';
import { temporaryFolder } from '../support/cli.js';

const folder = temporaryFolder();

it('reads Parquet with pictures in it, as data: URLs that the hosts can send', async () => {
  const bytes = await sharp({ create: { width: 4, height: 4, channels: 3, background: '#f00' } })
    .jpeg()
    .toBuffer();
  const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' } as const;
  const buffer = parquetWriteBuffer({
    schema: [
      { name: 'root', num_children: 6 },
      { name: 'pid', ...text },
      { name: 'question', ...text },
      { name: 'decoded_image', repetition_type: 'OPTIONAL', num_children: 2 },
      { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      { name: 'path', ...text },
      { name: 'answer', ...text },
      { name: 'question_type', ...text },
      { name: 'answer_type', ...text },
    ],
    columnData: [
      { name: 'pid', data: ['1', '2'] },
      { name: 'question', data: ['How many?', 'How many more?'] },
      {
        name: 'decoded_image',
        data: [
          { bytes: new Uint8Array(bytes), path: '1.jpg' },
          { bytes: null, path: 'images/2.jpg' },
        ],
      },
      { name: 'answer', data: ['3', '4'] },
      { name: 'question_type', data: ['free_form', 'free_form'] },
      { name: 'answer_type', data: ['integer', 'integer'] },
    ],
  });
  writeFileSync(join(folder, 'testmini-00000-of-00001.parquet'), Buffer.from(buffer));
  const [first, second] = await readSet(answerSetNamed('mathvista'), [folder]);
  expect(first).toMatchObject({ id: '1', question: 'How many?', answer: '3' });
  expect(first?.images[0]?.location).toBe(`data:image/jpeg;base64,${bytes.toString('base64')}`);
  expect(first?.metadata).not.toHaveProperty('decoded_image');
  expect(second?.images[0]?.location).toBe(join(folder, 'images/2.jpg'));
});

it('a file that is no Parquet is reported by its name', async () => {
  const file = join(folder, 'broken.parquet');
  writeFileSync(file, 'no parquet');
  await expect(readSet(answerSetNamed('mathvista'), [file])).rejects.toThrow(
    /cannot read .*broken\.parquet as Parquet/,
  );
});
