import { barLetters } from './families/bars.js';
import { countColours, countShapes } from './families/counts.js';
import { rowLetters } from './families/table.js';
import { type Box, figureSide, patchSide } from './raster.js';
import type { FigureItem } from './types.js';

export const patchesPerSide = figureSide / patchSide;
export const patchCount = patchesPerSide * patchesPerSide;

const sides = ['width', 'height', 'base', 'left', 'right'] as const;

/** Class names of the label planes `owner` and `subOwner`; 0 is "nothing stands here". */
export const ownerNames: readonly string[] = [
  '',
  ...barLetters,
  ...rowLetters,
  ...sides,
  ...countColours,
];
export const subOwnerNames: readonly string[] = ['', ...barLetters, ...countShapes];

/** A patch that touches an item too little to tell, or two items alike: no loss there. */
export const ignoredLabel = 255;

/** What the vision tower should know at each patch, one byte each, row by row.
 *  `tens` and `ones` are digit + 1, 0 where nothing stands. */
export interface PatchLabels {
  owner: Uint8Array;
  subOwner: Uint8Array;
  tens: Uint8Array;
  ones: Uint8Array;
}

function overlap(box: Box, patch: number): number {
  const x = (patch % patchesPerSide) * patchSide;
  const y = Math.floor(patch / patchesPerSide) * patchSide;
  const width = Math.min(box.x + box.width, x + patchSide) - Math.max(box.x, x);
  const height = Math.min(box.y + box.height, y + patchSide) - Math.max(box.y, y);
  return width > 0 && height > 0 ? width * height : 0;
}

// Pixels of an item's box that a patch must hold to be asked about it; a glyph is 35.
const enoughPixels = 14;

/** Pixels of each item's boxes in each patch: overlaps[item][patch]. */
function overlapTable(items: readonly FigureItem[]): number[][] {
  return items.map((item) =>
    Array.from({ length: patchCount }, (_, patch) =>
      item.boxes.reduce((most, box) => Math.max(most, overlap(box, patch)), 0),
    ),
  );
}

export function labelPatches(items: readonly FigureItem[]): PatchLabels {
  const labels: PatchLabels = {
    owner: new Uint8Array(patchCount),
    subOwner: new Uint8Array(patchCount),
    tens: new Uint8Array(patchCount),
    ones: new Uint8Array(patchCount),
  };
  const planes = [labels.owner, labels.subOwner, labels.tens, labels.ones];
  const table = overlapTable(items);
  for (let patch = 0; patch < patchCount; patch++) {
    const pixels = table.map((row) => row[patch] as number);
    const bestPixels = Math.max(0, ...pixels);
    if (bestPixels === 0) continue;
    const best = pixels.indexOf(bestPixels);
    const second = Math.max(0, ...pixels.filter((_, item) => item !== best));
    if (bestPixels < enoughPixels || second > bestPixels / 2) {
      for (const plane of planes) plane[patch] = ignoredLabel;
      continue;
    }
    const item = items[best] as FigureItem;
    labels.owner[patch] = ownerNames.indexOf(item.owner);
    labels.subOwner[patch] = subOwnerNames.indexOf(item.subOwner ?? '');
    labels.tens[patch] = Math.floor(item.value / 10) + 1;
    labels.ones[patch] = (item.value % 10) + 1;
  }
  return labels;
}
