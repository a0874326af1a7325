import { useEffect, useState } from 'preact/hooks';
import { scaleColours } from '../model/colour.js';
import type { Palette } from './painter.js';

export type Theme = 'light' | 'dark';

const DARK = '(prefers-color-scheme: dark)';

/** The system's choice, followed. */
export function useTheme(): Theme {
  const [theme, setTheme] = useState<Theme>(() => (matchMedia(DARK).matches ? 'dark' : 'light'));
  useEffect(() => {
    const query = matchMedia(DARK);
    const follow = () => setTheme(query.matches ? 'dark' : 'light');
    query.addEventListener('change', follow);
    return () => query.removeEventListener('change', follow);
  }, []);
  return theme;
}

/** The style sheet's colours for the canvas. */
export function readPalette(theme: Theme): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    background: colour('panel'),
    text: colour('text'),
    quiet: colour('quiet'),
    link: colour('link-line'),
    accent: colour('accent'),
    chosen: colour('chosen'),
    match: colour('accent'),
    none: colour('faint'),
    right: colour('right'),
    wrong: colour('wrong'),
    scale: scaleColours(theme),
  };
}
