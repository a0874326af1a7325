import { contentHash, type Problem } from '../../search/index.js';

/** Hash of what a problem asks, pictures by name: a changed problem is noticed on resumption. */
export function problemHash(problem: Problem): string {
  const { id, question, images, answer, choices, answerType, precision, turns } = problem;
  const sources = images.map((image) => image.source);
  const facts = [id, question, sources, answer, choices, answerType, precision];
  // Only where there are any: hashes of older runs stay what they were.
  return contentHash([JSON.stringify(turns ? [...facts, turns] : facts)]);
}
