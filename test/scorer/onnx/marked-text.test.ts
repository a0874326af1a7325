import { describe, expect, it } from 'vitest';
import { markedPath } from '../../../prm/index.js';
import { createRandom } from '../../../search/rng.js';
import { MarkedText } from '../../../src/scorer/onnx/marked-text.js';
import { type PrmFolder, readPrmFolder } from '../../../src/scorer/onnx/prm-folder.js';

const folder = await readPrmFolder('test/fixtures/tiny-prm');
const image = { source: 'a.png', location: 'a.png' };
const problem = { id: 'p', question: 'How many circles?', images: [image] };
const OPENING = '<|im_start|>user\n<image>How many circles?<|im_end|>\n<|im_start|>assistant\n';

const encode = (model: PrmFolder, steps: readonly string[], text = new MarkedText(model)) =>
  text.encode(markedPath(problem, steps, { template: 'plain', tokens: [], marker: '' }), [
    { rows: 3, grid: null },
  ]);

/** The whole text in one call of the tokenizer, the picture's token three times. */
const whole = (model: PrmFolder, steps: readonly string[]): number[] => {
  const text = OPENING + steps.map((step) => `${step}<prm>`).join('\n\n');
  const ids: number[] = model.tokenizer.encode(text, { add_special_tokens: false }).ids;
  return ids.flatMap((id) => (id === model.imageToken ? [id, id, id] : [id]));
};

/** As tokenizers that write a space before every text: here a token 0. */
function spacing(): PrmFolder {
  const { tokenizer } = folder;
  const spaced = Object.create(tokenizer) as typeof tokenizer;
  spaced.encode = ((text: string, options: object) => {
    const encoding = tokenizer.encode(text, options);
    return { ...encoding, ids: [0, ...encoding.ids] };
  }) as typeof tokenizer.encode;
  return { ...folder, tokenizer: spaced };
}

describe('a path as tokens', () => {
  const random = createRandom('steps');
  const words = ['A=29', '\n', ' ', 'B', '+', '12', '.', '\n\n', 'é', '==', '7'];
  const step = () =>
    Array.from({ length: 1 + random() * 6 }, () => words[Math.floor(random() * words.length)]).join(
      '',
    );

  it.each([
    ['a tokenizer that reads pieces alike', folder],
    ['one that does not', spacing()],
  ])('is read as one text, with %s', (_, model) => {
    const text = new MarkedText(model);
    for (let round = 0; round < 60; round++) {
      const steps = Array.from({ length: 1 + (round % 5) }, step);
      const { ids, head, segmentEnds } = encode(model, steps, text);
      expect(ids).toEqual(whole(model, steps));
      expect(segmentEnds).toEqual(
        ids.flatMap((id, index) => (id === folder.marker.id ? [index + 1] : [])),
      );
      expect(segmentEnds).toHaveLength(steps.length);
      expect(head).toBeLessThan(segmentEnds[0] ?? 0);
    }
  });

  it('gives a child the tokens of its parent first', () => {
    const parent = encode(folder, ['A=1.', 'B=2.']);
    const child = encode(folder, ['A=1.', 'B=2.', 'C=3.']);
    expect(child.ids.slice(0, parent.ids.length)).toEqual(parent.ids);
    expect(child.segmentEnds.slice(0, 2)).toEqual(parent.segmentEnds);
    expect(child.head).toBe(parent.head);
  });
});
