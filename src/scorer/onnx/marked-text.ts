import type { MarkedPath } from '../../../prm/index.js';
import { LruMap } from '../../../prm/lru.js';
import { SteptreeError } from '../../../search/errors.js';
import { ChatText } from '../../policy/onnx/chat-text.js';
import type { ImageLayout } from '../../policy/onnx/image.js';
import type { PrmFolder } from './prm-folder.js';

/** A path as tokens. */
export interface MarkedTokens {
  /** Image tokens are repeated once per image feature. */
  readonly ids: readonly number[];
  /** Tokens of the opening, but for those that run into the first step. */
  readonly head: number;
  /** Where each segment ends: the place behind its marker. */
  readonly segmentEnds: readonly number[];
}

/** Tokenizing takes as long as a third of the passes: beginnings and steps are remembered. */
const KEPT_STARTS = 1024;
const KEPT_SEGMENTS = 16_384;

/** Turns marked paths into token ids, exactly as the whole text is read: the opening by the folder's
 *  chat template, behind it the segments. */
export class MarkedText {
  private readonly chat: ChatText;
  private readonly starts = new LruMap<Omit<MarkedTokens, 'segmentEnds'>>(KEPT_STARTS);
  private readonly segments = new LruMap<readonly number[]>(KEPT_SEGMENTS);
  /** Whether what stands behind a marker is read alike without what stands before it. */
  private readonly apart: boolean;

  constructor(private readonly folder: PrmFolder) {
    this.chat = new ChatText(folder);
    const { text } = folder.marker;
    const [first, second] = [`A=1.${text}`, `\n\nB 2${text}`];
    const pieces = [...this.tokenize(first), ...this.tokenize(second)];
    this.apart = pieces.join() === this.tokenize(first + second).join();
  }

  /** @throws SteptreeError ONNX_CONFIG for another marker than the model's or a template that
   *  doesn't show every picture, ONNX_PROMPT_TOO_LONG for a path beyond the model's positions */
  encode(path: MarkedPath, images: readonly ImageLayout[]): MarkedTokens {
    const segments = path.segments.map((segment) => this.plainSegment(segment));
    const together = this.apart ? 1 : segments.length;
    const start = this.start(path, segments.slice(0, together).join(''), images);
    const rest = segments.slice(together).flatMap((segment) => this.segmentIds(segment));
    const ids = [...start.ids, ...rest];
    const { id: problemId } = path.problem;
    this.chat.checkLength(ids.length, { problemId, steps: segments.length, spare: 0 });
    const segmentEnds: number[] = [];
    for (let index = start.head; index < ids.length; index++) {
      if (ids[index] === this.folder.marker.id) segmentEnds.push(index + 1);
    }
    if (segmentEnds.length !== segments.length) throw this.markerError(segmentEnds.length, path);
    return { ids, head: start.head, segmentEnds };
  }

  /** The opening with the text behind it, read as one: tokens may run from one into the other. */
  private start(
    { problem, question, systemPrompt }: MarkedPath,
    text: string,
    images: readonly ImageLayout[],
  ) {
    const key = JSON.stringify([
      systemPrompt,
      question,
      images.map(({ rows, grid }) => [rows, grid]),
      text,
    ]);
    const known = this.starts.get(key);
    if (known) return known;
    const opening = this.chat.opening(problem, images, question, systemPrompt);
    const ids = this.chat.encode(opening + text, images, problem.id);
    const openingIds = this.chat.encode(opening, images, problem.id);
    const apart = openingIds.findIndex((id, index) => id !== ids[index]);
    const start = { ids, head: apart === -1 ? openingIds.length : apart };
    this.starts.set(key, start);
    return start;
  }

  private segmentIds(segment: string): readonly number[] {
    let ids = this.segments.get(segment);
    if (ids === undefined) {
      ids = this.tokenize(segment);
      this.segments.set(segment, ids);
    }
    return ids;
  }

  private tokenize(text: string): number[] {
    return this.folder.tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  /** Special tokens inside a step are no tokens, least of all markers. */
  private plainSegment(segment: string): string {
    const { text } = this.folder.marker;
    if (segment.endsWith(text)) {
      return this.chat.withoutSpecials(segment.slice(0, -text.length)) + text;
    }
    throw new SteptreeError(
      'ONNX_CONFIG',
      `the steps end with another marker than ${text}, which ${this.folder.path} was trained with; leave --prm-marker out`,
      { path: this.folder.path, marker: text },
    );
  }

  private markerError(found: number, { problem, segments }: MarkedPath): SteptreeError {
    return new SteptreeError(
      'ONNX_CONFIG',
      `the tokenizer of ${this.folder.path} reads ${found} markers in ${segments.length} steps of problem ${problem.id}; take the marker out of the system prompt, or export the folder again`,
      { path: this.folder.path, found, steps: segments.length },
    );
  }
}
