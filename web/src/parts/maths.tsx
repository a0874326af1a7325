/** Texts of models: shown as text, with formulas set by KaTeX where they hold LaTeX. Nothing in them
 *  becomes markup: KaTeX builds nodes, and commands that could link or style are off. */
import katex from 'katex';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { splitMaths } from '../model/maths.js';

export function MathsText({ text }: { readonly text: string }) {
  const parts = splitMaths(text);
  return (
    <span class="maths-text">
      {parts.map((part, i) => (part.kind === 'text' ? part.text : <Formula key={i} {...part} />))}
    </span>
  );
}

function Formula({ text, source, display }: { text: string; source: string; display: boolean }) {
  const place = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    if (!place.current) return;
    try {
      katex.render(text, place.current, {
        displayMode: display,
        throwOnError: true,
        trust: false,
        strict: 'ignore',
        maxSize: 20,
        maxExpand: 200,
        output: 'htmlAndMathml',
      });
    } catch {
      // What is no LaTeX after all is shown as it was written.
      place.current.textContent = source;
    }
  }, [text, source, display]);
  return <span class={display ? 'formula display' : 'formula'} ref={place} />;
}
