/** Prose of a model in the form in which answers are looked for. */

/** What chat models add behind their answer, from there to the end. */
const pleasantries =
  /(?:^|\n|(?<=[.!?] ))[ \t]*(?:I hope (?:this|that|it)\b|Let me know\b|Is there anything\b|Do you (?:have|want|need)\b|Please let me\b|Feel free\b|Would you like\b|Hope this helps\b)[^\n]*\s*$/i;

/** A model without an end goes on with the next exercise of its prompt. */
const nextExercise = /\n[ \t]*(?:Question|Hint|Q|Problem|Example \d+)\s*:/;

/** One line per line of the text, without marks of emphasis, thinking and closing remarks. */
export function plainProse(response: string): string {
  const end = response.lastIndexOf('</think>');
  const answer = end < 0 ? response : response.slice(end + '</think>'.length);
  let text = withoutMiddle(answer.trim() === '' ? response : answer)
    .replace(/\r\n?/g, '\n')
    .replace(/[\u200b\u2060\ufeff]/g, '')
    .replace(/[\uff08]/g, '(')
    .replace(/[\uff09]/g, ')')
    .replace(/\uff1a/g, ':')
    .replace(/[\u00a0\u2009\u202f]/g, ' ')
    .replace(/\*\*|__|`/g, '');
  const next = nextExercise.exec(text);
  if (next && text.slice(0, next.index).trim() !== '') text = text.slice(0, next.index);
  for (let shorter = text.replace(pleasantries, ''); shorter !== text; ) {
    if (shorter.trim() === '') break;
    text = shorter;
    shorter = text.replace(pleasantries, '');
  }
  return text.trim();
}

/** Answers stand at the beginning or at the end; what lies between in an endless response is left out. */
function withoutMiddle(text: string): string {
  const [head, tail] = [4_000, 12_000];
  return text.length <= head + tail ? text : `${text.slice(0, head)}\n${text.slice(-tail)}`;
}

const abbreviation =
  /(?:\b(?:Fig|vs|approx|Eq|No|St|Dr|Mr|Mrs|Ms|e\.g|i\.e|cf|etc|ca)|\([A-Z]|^[A-Z])\.$/;

/** Sentences in order; a line's end is a sentence's end. */
export function sentences(text: string): string[] {
  return text
    .split('\n')
    .flatMap(sentencesOfLine)
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

function sentencesOfLine(line: string): string[] {
  const found: string[] = [];
  let start = 0;
  for (const mark of line.matchAll(/[.!?](?=["')\]]*\s+\S)|。/g)) {
    const end = mark.index + 1;
    const sentence = line.slice(start, end);
    if (abbreviation.test(sentence)) continue;
    found.push(sentence);
    start = end;
  }
  found.push(line.slice(start));
  return found;
}

/** A sentence in which a model says that it won't or can't answer. */
export function isRefusal(sentence: string): boolean {
  const plain = sentence.replace(/’/g, "'");
  return refusals.some((refusal) => refusal.test(plain));
}

const verb =
  '(?:help|answer|determine|provide|calculate|compute|find|identify|say|tell|see|view|solve|assist|process|give|estimate|conclude|deduce|infer|state|compare|draw|quantif|analy[sz]e|make|decide|visuali[sz]e)';
const facts =
  '(?:information|data|context|details?|images?|figures?|pictures?|diagrams?|graphs?|charts?|tables?|values?|functions?|dimensions?|measurements?)';

const refusals = [
  /\b(?:sorry|apologi[sz]e)\b/i,
  new RegExp(
    String.raw`\b(?:cannot|can't|can not|could not|couldn't|unable to|not able to|impossible to|not possible to|difficult to)\s+(?:\w+\s+){0,3}?(?:be\s+)?(?:\w+ly\s+)?${verb}`,
    'i',
  ),
  new RegExp(
    String.raw`\b(?:not|n't|no|without|lacks?|insufficient|need|requires?)\b[^.]{0,50}\b(?:enough|sufficient|specific|additional|further|more|relevant|necessary|any)\b[^.]{0,40}\b${facts}\b`,
    'i',
  ),
  new RegExp(
    String.raw`\b(?:without|there is no|there are no|no)\s+(?:the\s+|a\s+|any\s+)?(?:\w+\s+)?${facts}\b`,
    'i',
  ),
  /\b(?:does not|doesn't|do not|don't|did not)\s+(?:\w+\s+)?(?:provide|contain|include|specify|mention|state|give)\b/i,
  /\bplease\s+(?:\w+\s+)?(?:provide|clarify|specify|give)\b/i,
  new RegExp(
    String.raw`\b${facts}\b[^.]{0,60}\b(?:is|are|was|were)(?:n't| not) (?:\w+ )?(?:provided|given|available|sufficient|clear|specified|included)\b`,
    'i',
  ),
  /\b(?:insufficient|not sufficient|not enough) (?:to|information|data)\b|\bquestion is (?:not valid|invalid|unclear)\b|\bnone of the (?:given |provided |available )?(?:options|choices|answers)\b|\b(?:not|n't) (?:an option|(?:\w+ ){0,3}(?:in|among|one of) the (?:\w+ )?(?:options|choices))\b|\b(?:mistake|error) in the (?:question|problem|options|choices)\b/i,
];

/** What GPT-4 writes, when it is asked to extract an answer, for a solution that gives none: that it
 *  can't be told, or, where yes or no was asked and the solution can't confirm, the "no". MathVista's
 *  rule then takes the choice nearest to these words. */
export function declining(response: string, choices: readonly string[]): string {
  const text = plainProse(response);
  if (/^(?:sorry|i can't|i cannot|i'm sorry)\b[^\n]*$/i.test(text)) return text;
  const cannot = /\b(?:cannot|can't|can not) be (determined|answered)/i.exec(text)?.[1];
  if (cannot) return `Cannot be ${cannot.toLowerCase()}`;
  const no = choices.find((one) => /^(?:no|false)$/i.test(one.trim()));
  const isSolutionMissing = /\bsolution\b[^.]{0,40}\b(?:cannot|can't)\b/i.test(text);
  const isUnconfirmed = /\bdetermine (?:whether|if)\b/i.test(text);
  return no !== undefined && isUnconfirmed && !isSolutionMissing ? no : 'N/A';
}

/** Words that open a conclusion, in the languages of the sets. */
export const conclusion =
  /^(?:[^\p{L}\p{N}]*)(?:therefore|thus|hence|so|consequently|in conclusion|in summary|as a result|finally|overall|based on (?:this|these|the above)|this means|we (?:get|have|find|conclude)|所以|因此|故|∴|答案|综上)/iu;
