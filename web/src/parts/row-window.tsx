/** A table of any length: only the rows in view are in the page. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

/** As the style sheet has it. */
const ROW_PX = 34;
const SPARE = 12;

export function RowWindow(props: {
  readonly count: number;
  readonly head: ComponentChildren;
  readonly row: (index: number) => ComponentChildren;
  readonly columns: number;
}) {
  const { count, head, row, columns } = props;
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ first: 0, last: 60 });
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const follow = () => {
      const first = Math.max(0, Math.floor(element.scrollTop / ROW_PX) - SPARE);
      const last = Math.ceil((element.scrollTop + element.clientHeight) / ROW_PX) + SPARE;
      setRange((old) => (old.first === first && old.last === last ? old : { first, last }));
    };
    follow();
    element.addEventListener('scroll', follow, { passive: true });
    const observer = new ResizeObserver(follow);
    observer.observe(element);
    return () => {
      element.removeEventListener('scroll', follow);
      observer.disconnect();
    };
  }, []);
  const first = Math.min(range.first, Math.max(0, count - 1));
  const last = Math.min(count, range.last);
  return (
    <div class="table-box scrolled" ref={box}>
      <table class="rows fixed-rows">
        <thead>{head}</thead>
        <tbody>
          {first > 0 && <Gap rows={first} columns={columns} />}
          {Array.from({ length: Math.max(0, last - first) }, (_, i) => row(first + i))}
          {last < count && <Gap rows={count - last} columns={columns} />}
        </tbody>
      </table>
    </div>
  );
}

function Gap({ rows, columns }: { readonly rows: number; readonly columns: number }) {
  return (
    <tr class="gap">
      <td colSpan={columns} style={{ height: `${rows * ROW_PX}px` }} />
    </tr>
  );
}
