import { contentHash, type Problem } from '../../search/index.js';

/** Hash of what a problem asks, pictures by name: a changed problem is noticed on resumption. */
export function problemHash(problem: Problem): string {
  const { id, question, images, answer, choices, answerType, precision } = problem;
  const sources = images.map((image) => image.source);
  return contentHash([
    JSON.stringify([id, question, sources, answer, choices, answerType, precision]),
  ]);
}
