import type { MarkedPath } from '../../../prm/index.js';
import { SteptreeError } from '../../../search/errors.js';
import { ChatText } from '../../policy/onnx/chat-text.js';
import type { PrmFolder } from './prm-folder.js';

/** A path as tokens. */
export interface MarkedTokens {
  /** Image tokens are repeated once per image feature. */
  readonly ids: readonly number[];
  /** Tokens of the opening; 0 if its last token runs into the first step. */
  readonly head: number;
  /** Where each segment ends: the place behind its marker. */
  readonly segmentEnds: readonly number[];
}

/** Turns marked paths into token ids, exactly as the whole text is read: the opening by the folder's
 *  chat template, behind it the segments. */
export class MarkedText {
  private readonly chat: ChatText;

  constructor(private readonly folder: PrmFolder) {
    this.chat = new ChatText(folder);
  }

  /** @throws SteptreeError ONNX_CONFIG for another marker than the model's or a template that
   *  doesn't show every picture, ONNX_PROMPT_TOO_LONG for a path beyond the model's positions */
  encode(path: MarkedPath, imageRows: readonly number[]): MarkedTokens {
    const { problem, question, systemPrompt, segments } = path;
    const opening = this.chat.opening(problem, question, systemPrompt);
    const steps = segments.map((segment) => this.plainSegment(segment)).join('');
    const shown = { problemId: problem.id, steps: segments.length, spare: 0 };
    const ids = this.chat.encode(opening + steps, imageRows, shown);
    const openingIds = this.chat.encode(opening, imageRows, shown);
    const head = openingIds.every((id, index) => id === ids[index]) ? openingIds.length : 0;
    const segmentEnds: number[] = [];
    for (let index = head; index < ids.length; index++) {
      if (ids[index] === this.folder.marker.id) segmentEnds.push(index + 1);
    }
    if (segmentEnds.length !== segments.length) throw this.markerError(segmentEnds.length, path);
    return { ids, head, segmentEnds };
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
