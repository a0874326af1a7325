import { colourAt } from '../model/colour.js';
import { useTheme } from '../tree/palette.js';
import { share } from './numbers.js';

/** A value in [0, 1] as number, bar and interval. */
export function ValueBar(props: {
  readonly value: number | null;
  readonly interval?: readonly [number, number] | null;
}) {
  const { value, interval } = props;
  const theme = useTheme();
  const percent = (x: number) => `${(100 * x).toFixed(1)}%`;
  const title = interval ? `${share(interval[0])} to ${share(interval[1])} (95 %)` : undefined;
  return (
    <span class="value" title={title}>
      <span class="value-number">{share(value)}</span>
      <span class="value-track" aria-hidden="true">
        {value !== null && (
          <span
            class="value-fill"
            style={{ width: percent(value), background: colourAt(value, theme) }}
          />
        )}
        {interval && (
          <span
            class="value-interval"
            style={{ left: percent(interval[0]), width: percent(interval[1] - interval[0]) }}
          />
        )}
      </span>
    </span>
  );
}

/** A small square in the colour of a value. */
export function Swatch({ value }: { readonly value: number | null }) {
  const theme = useTheme();
  const colour = value === null ? undefined : colourAt(value, theme);
  return <span class={value === null ? 'swatch none' : 'swatch'} style={{ background: colour }} />;
}
