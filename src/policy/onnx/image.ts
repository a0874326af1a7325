import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { InferenceSession } from 'onnxruntime-node';
import { Tensor } from 'onnxruntime-node';
import sharp, { type OutputInfo } from 'sharp';
import { errorMessage, SteptreeError } from '../../../search/errors.js';
import type { ImageRef } from '../../../search/types.js';
import type { ImageSettings } from './folder.js';
import { floats } from './tensors.js';
import { type TileGrid, tilePlan } from './tiles.js';

/** How a picture shows up in the prompt. */
export interface ImageLayout {
  /** Rows of features, of all tiles together. */
  readonly rows: number;
  /** Its tiles; null where it is a single one. */
  readonly grid: TileGrid | null;
}

/** What the projector makes of a picture. */
export interface ImageFeatures extends ImageLayout {
  /** Hash of the picture's bytes. */
  readonly key: string;
  /** [rows, hidden]; tiles follow one another row by row, the whole picture last. */
  readonly features: Float32Array;
}

/** Pictures whose features are kept: a search comes back to the same ones over and over. */
const KEPT_IMAGES = 256;

const KERNELS = ['nearest', 'lanczos3', 'linear', 'cubic'] as const;

/** Runs pictures through the vision tower, each once while it is kept. */
export class VisionEncoder {
  private readonly kept = new Map<string, Promise<ImageFeatures>>();

  constructor(
    private readonly session: InferenceSession,
    private readonly settings: ImageSettings,
    private readonly hidden: number,
  ) {}

  /** @throws SteptreeError POLICY_IMAGE_UNREADABLE naming the picture */
  encode(image: ImageRef): Promise<ImageFeatures> {
    const key = keyOf(image);
    const known = this.kept.get(key);
    if (known !== undefined) {
      this.kept.delete(key);
      this.kept.set(key, known);
      return known;
    }
    const encoded = this.compute(image);
    this.kept.set(key, encoded);
    encoded.catch(() => this.kept.delete(key));
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= KEPT_IMAGES) break;
      this.kept.delete(oldest);
    }
    return encoded;
  }

  /** Resolves when no picture is on its way through the session. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.kept.values());
  }

  private async compute(image: ImageRef): Promise<ImageFeatures> {
    const bytes = await readImage(image);
    const { tiles, grid, height, width } = await tilePixels(bytes, this.settings).catch((error) => {
      throw unreadable(image, error);
    });
    const parts: Float32Array[] = [];
    // One after the other: a tower's memory grows with the tiles of a run, its speed does not.
    for (const pixels of tiles) parts.push(await this.features(pixels, height, width));
    const features = parts.length === 1 ? (parts[0] ?? new Float32Array(0)) : joined(parts);
    const key = createHash('sha256').update(bytes).digest('hex');
    return { key, features, rows: features.length / this.hidden, grid };
  }

  private async features(
    pixels: Float32Array,
    height: number,
    width: number,
  ): Promise<Float32Array> {
    const input = this.session.inputMetadata.find((one) => one.name === 'pixel_values');
    // SmolVLM's encoder takes [batch, images, 3, height, width] and a mask of its pixels.
    const rank = input?.isTensor === true ? input.shape.length : 4;
    const dims = rank === 5 ? [1, 1, 3, height, width] : [1, 3, height, width];
    const feeds: Record<string, Tensor> = { pixel_values: new Tensor('float32', pixels, dims) };
    if (this.session.inputNames.includes('pixel_attention_mask')) {
      const mask = new Uint8Array(height * width).fill(1);
      feeds.pixel_attention_mask = new Tensor('bool', mask, [1, 1, height, width]);
    }
    const results = await this.session.run(feeds);
    return floats(results, this.session.outputNames[0] ?? 'image_features');
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A data: URL is the picture itself; hundreds of them would be kept as keys. */
function keyOf({ location }: ImageRef): string {
  if (!location.startsWith('data:')) return location;
  return `data ${createHash('sha256').update(location).digest('base64')}`;
}

/** Pixel values of a picture, [3, height, width] per tile. */
export interface TilePixels {
  readonly tiles: readonly Float32Array[];
  readonly grid: TileGrid | null;
  readonly height: number;
  readonly width: number;
}

/** The picture as floats: cut into tiles where the settings want it, resized, rescaled and
 *  normalised. */
export async function tilePixels(bytes: Uint8Array, settings: ImageSettings): Promise<TilePixels> {
  let picture = await decode(bytes);
  const { size, tiles } = settings;
  const kernel = KERNELS[settings.resample] ?? 'cubic';
  if (tiles !== null) {
    const plan = tilePlan(picture.info, tiles);
    picture = await resized(picture, plan.scaled, kernel);
    picture = await resized(picture, plan.stretched, kernel);
    if (plan.grid !== null) return cutIntoTiles(picture, plan.grid, tiles.edge, kernel, settings);
  } else if (size !== null) picture = await resized(picture, size, kernel);
  const { height, width } = picture.info;
  return { tiles: [planes(picture, settings)], grid: null, height, width };
}

interface Picture {
  readonly data: Buffer;
  readonly info: OutputInfo;
}

// Decoding and resizing are two pipelines: in one, sharp would weigh colours by their alpha.
async function decode(bytes: Uint8Array): Promise<Picture> {
  const colours = sharp(bytes).toColourspace('srgb').removeAlpha().raw();
  return colours.toBuffer({ resolveWithObject: true });
}

async function resized(
  picture: Picture,
  { width, height }: { readonly width: number; readonly height: number },
  kernel: (typeof KERNELS)[number],
): Promise<Picture> {
  if (picture.info.width === width && picture.info.height === height) return picture;
  const pipeline = sharp(picture.data, { raw: picture.info });
  const raw = pipeline.resize(width, height, { fit: 'fill', kernel }).raw();
  return raw.toBuffer({ resolveWithObject: true });
}

async function cutIntoTiles(
  picture: Picture,
  grid: TileGrid,
  edge: number,
  kernel: (typeof KERNELS)[number],
  settings: ImageSettings,
): Promise<TilePixels> {
  const tiles: Float32Array[] = [];
  for (let row = 0; row < grid.rows; row++) {
    for (let column = 0; column < grid.columns; column++) {
      const area = { left: column * edge, top: row * edge, width: edge, height: edge };
      tiles.push(planes(picture, settings, area));
    }
  }
  const whole = await resized(picture, { width: edge, height: edge }, kernel);
  tiles.push(planes(whole, settings));
  return { tiles, grid, height: edge, width: edge };
}

/** An area of the picture as [3, height, width], rescaled and normalised. */
function planes(
  { data, info }: Picture,
  settings: ImageSettings,
  { left, top, width, height } = { left: 0, top: 0, width: info.width, height: info.height },
): Float32Array {
  const { channels } = info;
  const pixels = new Float32Array(3 * height * width);
  let at = 0;
  for (let channel = 0; channel < 3; channel++) {
    const scale = settings.rescaleFactor / (settings.std[channel] ?? 1);
    const shift = (settings.mean[channel] ?? 0) / (settings.std[channel] ?? 1);
    // A grey picture has one channel, which stands for all three.
    const offset = channels >= 3 ? channel : 0;
    for (let y = top; y < top + height; y++) {
      let from = (y * info.width + left) * channels + offset;
      for (let x = 0; x < width; x++, from += channels, at++) {
        pixels[at] = (data[from] ?? 0) * scale - shift;
      }
    }
  }
  return pixels;
}

async function readImage(image: ImageRef): Promise<Buffer> {
  const { location } = image;
  if (location.startsWith('data:')) {
    const comma = location.indexOf(',');
    const base64 = location.slice(0, comma).endsWith(';base64');
    return Buffer.from(decodeURIComponent(location.slice(comma + 1)), base64 ? 'base64' : 'latin1');
  }
  try {
    return await readFile(location);
  } catch (error) {
    throw unreadable(image, error);
  }
}

function unreadable(image: ImageRef, error: unknown): SteptreeError {
  const shown = image.source.length > 120 ? `${image.source.slice(0, 60)}…` : image.source;
  return new SteptreeError(
    'POLICY_IMAGE_UNREADABLE',
    `image ${shown} can't be read as a picture: ${errorMessage(error)}; give a PNG, JPEG or WebP file`,
    { image: shown },
    { cause: error },
  );
}
