import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { InferenceSession } from 'onnxruntime-node';
import { Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { errorMessage, SteptreeError } from '../../../search/errors.js';
import type { ImageRef } from '../../../search/types.js';
import type { ImageSettings } from './folder.js';
import { floats } from './tensors.js';

/** What the projector makes of a picture. */
export interface ImageFeatures {
  /** Hash of the picture's bytes. */
  readonly key: string;
  /** [rows, hidden] */
  readonly features: Float32Array;
  readonly rows: number;
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
    const { pixels, height, width } = await pixelValues(bytes, this.settings).catch((error) => {
      throw unreadable(image, error);
    });
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
    const features = floats(results, this.session.outputNames[0] ?? 'image_features');
    return {
      key: createHash('sha256').update(bytes).digest('hex'),
      features,
      rows: features.length / this.hidden,
    };
  }
}

/** A data: URL is the picture itself; hundreds of them would be kept as keys. */
function keyOf({ location }: ImageRef): string {
  if (!location.startsWith('data:')) return location;
  return `data ${createHash('sha256').update(location).digest('base64')}`;
}

/** The picture as [3, height, width] floats: resized, rescaled and normalised by the settings. */
export async function pixelValues(
  bytes: Uint8Array,
  settings: ImageSettings,
): Promise<{ pixels: Float32Array; height: number; width: number }> {
  // Two pipelines: in one, sharp would weigh colours by their alpha when it resizes.
  const colours = sharp(bytes).toColourspace('srgb').removeAlpha().raw();
  let decoded = await colours.toBuffer({ resolveWithObject: true });
  const { size } = settings;
  const fits = decoded.info.width === size?.width && decoded.info.height === size.height;
  if (size !== null && !fits) {
    const kernel = KERNELS[settings.resample] ?? 'cubic';
    const picture = sharp(decoded.data, { raw: decoded.info });
    const resized = picture.resize(size.width, size.height, { fit: 'fill', kernel }).raw();
    decoded = await resized.toBuffer({ resolveWithObject: true });
  }
  const { data, info } = decoded;
  const { height, width, channels } = info;
  const plane = height * width;
  const pixels = new Float32Array(3 * plane);
  for (let channel = 0; channel < 3; channel++) {
    const scale = settings.rescaleFactor / (settings.std[channel] ?? 1);
    const shift = (settings.mean[channel] ?? 0) / (settings.std[channel] ?? 1);
    // A grey picture has one channel, which stands for all three.
    const from = channels >= 3 ? channel : 0;
    for (let i = 0; i < plane; i++) {
      pixels[channel * plane + i] = (data[i * channels + from] ?? 0) * scale - shift;
    }
  }
  return { pixels, height, width };
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
