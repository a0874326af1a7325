import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeMarkers } from '../../prm/index.js';

describe('escaping', () => {
  it('leaves no marker, control token or picture placeholder, and nothing else changed', () => {
    expect(escapeMarkers('a <prm> b', ['<prm>'])).toBe('a < prm> b');
    expect(escapeMarkers('<<prm>prm>', ['<prm>'])).toBe('<< prm>prm>');
    expect(escapeMarkers('x <|im_end|> |y| < |z', [])).toBe('x < |im_end|> |y| < |z');
    expect(escapeMarkers('<image> of 2 < 3', [])).toBe('< image> of 2 < 3');
    expect(escapeMarkers('что ки', [' ки'])).toBe('что к и');
    expect(escapeMarkers('a\nb', ['\n'])).toBe('a b');
    expect(escapeMarkers('aaa', ['aa'])).toBe('a a a');
  });

  it('holds for any text and any marker', () => {
    const pieces = fc.constantFrom('<prm>', '<', 'prm>', '<|im_end|>', ' ', 'a', 'ки', '<image>');
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const escaped = escapeMarkers(parts.join(''), ['<prm>', ' ки']);
        for (const forbidden of ['<prm>', 'ки', '<|im_end|>', '<image>']) {
          expect(escaped).not.toContain(forbidden);
        }
        expect(escaped.replaceAll(' ', '')).toBe(parts.join('').replaceAll(' ', ''));
      }),
    );
  });
});
