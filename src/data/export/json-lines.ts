/** Training data in JSON lines: TRL's stepwise supervision, and the conversations of VisualPRM400K. */
import type { LabelRecord } from './label-records.js';
import type { ExportOptions } from './options.js';

/** TRL's "stepwise supervision" dataset type, standard format: `prompt`, `completions` (the steps),
 *  `labels` (booleans), with the picture paths beside them. */
export function trlLine(record: LabelRecord, { threshold }: ExportOptions): string {
  return JSON.stringify({
    prompt: record.question,
    completions: record.steps,
    labels: record.labels.map((label) => label > threshold),
    images: record.images,
  });
}

const systemPrompt =
  'You supervise the solution of a problem. The first message gives the problem and the first step ' +
  'of a solution, each further message the next step. After every step reply "+" if the solution is ' +
  'right up to and including that step, and "-" if it is not. Reply with that one sign only.';

/** A conversation as VisualPRM is trained on (arXiv 2503.10291): the question and the first step in the
 *  first human turn, a turn per further step, and `+` or `-` as the answers. */
export function visualPrmLine(
  record: LabelRecord,
  { threshold, earlyStop }: ExportOptions,
): string {
  const signs = record.labels.map((label) => (label > threshold ? '+' : '-'));
  const firstWrong = signs.indexOf('-');
  const end = earlyStop && firstWrong >= 0 ? firstWrong + 1 : signs.length;
  const turns = record.steps.slice(0, end).flatMap((step, index) => {
    const opening = `### Question:\n${record.question}\n\n### Solution Process:\n`;
    return [
      { from: 'human', value: index === 0 ? opening + step : step },
      { from: 'gpt', value: signs[index] },
    ];
  });
  return JSON.stringify({
    id: record.id,
    ...imageField(record.images),
    conversations: [{ from: 'system', value: systemPrompt }, ...turns],
  });
}

/** InternVL's loader takes a text for one picture, a list for several and nothing for none. */
function imageField(images: readonly string[]): { image?: string | readonly string[] } {
  if (images.length === 0) return {};
  return { image: images.length === 1 ? (images[0] ?? '') : images };
}
