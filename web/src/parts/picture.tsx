import { useState } from 'preact/hooks';
import { useLoad, useSource } from '../use-data.js';

/** The figures of a problem; a click shows one in full size. */
export function Pictures(props: {
  readonly run: string;
  readonly problem: string;
  readonly images: number;
}) {
  if (props.images === 0) return null;
  return (
    <div class="pictures">
      {Array.from({ length: props.images }, (_, at) => (
        <Picture key={`${props.run} ${props.problem} ${at}`} {...props} at={at} />
      ))}
    </div>
  );
}

function Picture({ run, problem, at }: { run: string; problem: string; at: number }) {
  const source = useSource();
  const { value: url, error } = useLoad(() => source.picture(run, problem, at), [run, problem, at]);
  const [isLarge, setLarge] = useState(false);
  if (error) return <p class="note">{error.message}</p>;
  if (!url) return <div class="picture waiting" />;
  return (
    <button
      type="button"
      class={isLarge ? 'picture large' : 'picture'}
      onClick={() => setLarge(!isLarge)}
      title={isLarge ? 'Smaller' : 'Larger'}
    >
      <img src={url} alt={`Figure ${at + 1} of the problem`} />
    </button>
  );
}
