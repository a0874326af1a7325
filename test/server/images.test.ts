import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createImageFetcher, type FetchSettings } from '../../src/server/image-fetch.js';
import { createImageAdmitter, refuseBrokenImage } from '../../src/server/images.js';
import { temporaryFolder } from '../support/cli.js';
import { ask, png, post, startService } from './harness.js';

const noFetch = createImageFetcher({ allowImageHosts: [], imageFetchSeconds: 5 });
const limits = { maxImages: 2, maxImageMb: 0.01, maxImagePixels: 10_000, allowImageDirs: [] };
const admitter = createImageAdmitter(limits, noFetch);
const dataUrl = (bytes: Buffer, type = 'image/png') =>
  `data:${type};base64,${bytes.toString('base64')}`;

/** A PNG that says in its header that it is this large; its pixels are a few compressed bytes. */
function pngBomb(width: number, height: number): Buffer {
  const chunk = (name: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(data.length);
    const tail = Buffer.alloc(4);
    tail.writeUInt32BE(crc32(body));
    return Buffer.concat([head, body, tail]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([1, 0, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(1000))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function crc32(bytes: Buffer): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

describe('pictures of a request', () => {
  it('come in as data: URLs of what their bytes are', async () => {
    const url = await png();
    const claimed = url.replace('image/png', 'image/jpeg');
    expect(await admitter.admit(url)).toBe(url);
    expect(await admitter.admit(claimed)).toBe(url);
  });

  it('are refused by their header where they have too many pixels', async () => {
    await expect(admitter.admit(await png(100, 100))).resolves.toBeDefined();
    await expect(admitter.admit(await png(100, 101))).rejects.toMatchObject({
      code: 'SERVE_IMAGE_TOO_LARGE',
    });
    // 50,000 x 50,000 pixels in 100 bytes: decoding it would take gigabytes.
    const bomb = pngBomb(50_000, 50_000);
    expect(bomb.length).toBeLessThan(200);
    await expect(admitter.admit(dataUrl(bomb))).rejects.toMatchObject({
      code: 'SERVE_IMAGE_TOO_LARGE',
      facts: { pixels: 2_500_000_000 },
    });
  });

  it('count all frames of an animation', async () => {
    const frame = { width: 60, height: 60, channels: 3 as const, background: '#123456' };
    const frames = await Promise.all(
      ['#111', '#222', '#333'].map((background) =>
        sharp({ create: { ...frame, background } })
          .png()
          .toBuffer(),
      ),
    );
    const gif = await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer();
    await expect(admitter.admit(dataUrl(gif, 'image/gif'))).rejects.toMatchObject({
      code: 'SERVE_IMAGE_TOO_LARGE',
    });
  });

  it('are refused by the length of their base64 before it is decoded', async () => {
    const long = `data:image/png;base64,${'A'.repeat(14_000)}`;
    await expect(admitter.admit(long)).rejects.toMatchObject({ code: 'SERVE_IMAGE_TOO_LARGE' });
  });

  it('are counted before any is looked at', () => {
    expect(() => admitter.count(2)).not.toThrow();
    expect(() => admitter.count(3)).toThrow(/more than 2/);
  });

  it.each([
    ['no picture', 'data:image/png;base64,aGVsbG8gd29ybGQ='],
    ['an SVG', dataUrl(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'image/svg+xml')],
    ['a TIFF', dataUrl(Buffer.from('II*\0aaaaaaaaaaaaaaaaaaaa', 'latin1'))],
    ['a PNG without anything behind its first bytes', 'data:image/png;base64,iVBORw0KGgo='],
    ['malformed base64', 'data:image/png;base64,%%%%'],
    ['nothing', 'data:image/png;base64,'],
    ['percent-encoding', 'data:image/png,%89PNG'],
    ['two commas', 'data:image/png;base64,,,'],
  ])('are refused where they are %s', async (_what, url) => {
    await expect(admitter.admit(url)).rejects.toMatchObject({ code: 'SERVE_IMAGE_UNREADABLE' });
  });

  it.each([
    'http://example.com/a.png',
    'https://example.com/a.png',
    'file:///etc/passwd',
    'FILE:///etc/passwd',
    'ftp://example.com/a.png',
    '/etc/passwd',
    'gopher://127.0.0.1/',
    'blob:abc',
    '//example.com/a.png',
  ])('are refused as %s', async (url) => {
    await expect(admitter.admit(url)).rejects.toMatchObject({ code: 'SERVE_IMAGE_REFUSED' });
  });

  it('are the client’s error where their pixels are broken', async () => {
    const whole = Buffer.from((await png(40, 40)).split(',')[1] ?? '', 'base64');
    const cut = dataUrl(whole.subarray(0, whole.length - 30));
    await expect(refuseBrokenImage(cut, 10_000)).rejects.toMatchObject({
      code: 'SERVE_IMAGE_UNREADABLE',
    });
    const service = await startService();
    const content = [
      { type: 'image_url', image_url: { url: cut } },
      { type: 'text', text: 'What?' },
    ];
    const { status, body } = await post(
      service,
      ask('', { messages: [{ role: 'user', content }] }),
    );
    expect([status, body.error.code]).toEqual([400, 'SERVE_IMAGE_UNREADABLE']);
  });
});

describe('file: pictures', () => {
  const folder = temporaryFolder();
  const outside = temporaryFolder();
  let admit: (url: string) => Promise<string>;

  beforeAll(async () => {
    const bytes = Buffer.from((await png()).split(',')[1] ?? '', 'base64');
    mkdirSync(join(folder, 'in'));
    writeFileSync(join(folder, 'in', 'a.png'), bytes);
    writeFileSync(join(folder, 'in-side.png'), bytes);
    writeFileSync(join(outside, 'b.png'), bytes);
    symlinkSync(join(outside, 'b.png'), join(folder, 'in', 'link.png'));
    const dirs = { ...limits, allowImageDirs: [join(folder, 'in')] };
    ({ admit } = createImageAdmitter(dirs, noFetch));
  });

  it('are read from an allowed folder', async () => {
    const url = pathToFileURL(join(folder, 'in', 'a.png')).href;
    expect(await admit(url)).toBe(await png());
  });

  it.each(['in/../in-side.png', 'in-side.png', 'in/link.png', 'in/missing.png', 'in'])(
    'are refused as %s',
    async (path) => {
      const url = `file://${folder}/${path}`;
      await expect(admit(url)).rejects.toMatchObject({ code: 'SERVE_IMAGE_REFUSED' });
    },
  );
});

describe('fetched pictures', () => {
  let port = 0;
  let picture: Buffer;
  const hosts: string[] = [];
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    hosts.push(request.headers.host ?? '');
    const to = (location: string) => response.writeHead(302, { location }).end();
    if (request.url === '/loop') to('/loop');
    else if (request.url === '/to-metadata') to('http://169.254.169.254/latest/meta-data');
    else if (request.url === '/to-file') to('file:///etc/passwd');
    else if (request.url === '/to-other') to(`http://other.test:${port}/a.png`);
    else if (request.url === '/to-a') to('/a.png');
    else if (request.url === '/large') response.end(Buffer.alloc(20_000));
    else if (request.url === '/never') return;
    else if (request.url === '/missing') response.writeHead(404).end();
    else response.end(picture);
  };
  const server = createServer(answer);

  beforeAll(async () => {
    picture = Buffer.from((await png()).split(',')[1] ?? '', 'base64');
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => server.close());

  /** All names lead here, and here is taken for the public internet. */
  const fetcher = (changes: Partial<FetchSettings> = {}) =>
    createImageFetcher({
      allowImageHosts: [`pictures.test:${port}`],
      imageFetchSeconds: 5,
      resolve: async () => [{ address: '127.0.0.1', family: 4 }],
      isAllowedAddress: (address) => address === '127.0.0.1',
      ...changes,
    });
  const get = (path: string, changes: Partial<FetchSettings> = {}) =>
    fetcher(changes).fetch(`http://pictures.test:${port}${path}`, 10_000);

  it('come from an allowed host, by its name, also after a redirect on it', async () => {
    expect(await get('/a.png')).toEqual(picture);
    expect(hosts.at(-1)).toBe(`pictures.test:${port}`);
    expect(await get('/to-a')).toEqual(picture);
  });

  it('are refused at private addresses, whatever the name', async () => {
    for (const address of ['127.0.0.1', '::ffff:127.0.0.1', '169.254.169.254', '10.0.0.1']) {
      const resolve = async () => [{ address, family: address.includes(':') ? 6 : 4 }];
      const asked = hosts.length;
      const plain = createImageFetcher({
        allowImageHosts: [`pictures.test:${port}`],
        imageFetchSeconds: 5,
        resolve,
      });
      await expect(plain.fetch(`http://pictures.test:${port}/a.png`, 10_000)).rejects.toMatchObject(
        {
          code: 'SERVE_IMAGE_REFUSED',
        },
      );
      expect(hosts.length).toBe(asked);
    }
  });

  it('are refused if one of a name’s addresses is private', async () => {
    const resolve = async () => [
      { address: '127.0.0.1', family: 4 },
      { address: '10.0.0.1', family: 4 },
    ];
    await expect(get('/a.png', { resolve })).rejects.toMatchObject({ code: 'SERVE_IMAGE_REFUSED' });
  });

  it('come from the address that was checked: a name is resolved once (DNS rebinding)', async () => {
    let resolved = 0;
    const resolve = async () => {
      resolved++;
      // The second answer is where an attacker would want us.
      return [{ address: resolved === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }];
    };
    expect(await get('/a.png', { resolve })).toEqual(picture);
    expect(resolved).toBe(1);
  });

  it.each(['/to-metadata', '/to-file', '/to-other', '/loop', '/missing'])(
    'are refused where they lead as %s does',
    async (path) => {
      await expect(get(path)).rejects.toMatchObject({ code: 'SERVE_IMAGE_REFUSED' });
    },
  );

  it('are given up after their deadline', async () => {
    const startedMs = performance.now();
    await expect(get('/never', { imageFetchSeconds: 0.05 })).rejects.toMatchObject({
      code: 'SERVE_IMAGE_REFUSED',
    });
    expect(performance.now() - startedMs).toBeLessThan(4000);
  });

  it('are cut off at the limit of bytes', async () => {
    await expect(get('/large')).rejects.toMatchObject({ code: 'SERVE_IMAGE_TOO_LARGE' });
  });

  it.each([
    'http://evil.test/a.png',
    'http://pictures.test/a.png',
    'http://user:secret@pictures.test/a.png',
    'http://pictures.test.evil.test/a.png',
    'http://2130706433/a.png',
    'http://[::1]/a.png',
    'http://',
  ])('are refused from %s', async (url) => {
    const one = createImageFetcher({
      allowImageHosts: ['good.test'],
      imageFetchSeconds: 5,
      isAllowedAddress: () => true,
    });
    const error = await one.fetch(url, 10_000).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SERVE_IMAGE_REFUSED' });
    expect(String(error)).not.toContain('secret');
  });

  it('may come from all hosts under a name with *.', async () => {
    const asked: string[] = [];
    const resolve = async (host: string) => {
      asked.push(host);
      return [];
    };
    const one = createImageFetcher({
      allowImageHosts: ['*.cdn.test'],
      imageFetchSeconds: 5,
      resolve,
    });
    for (const host of ['a.cdn.test', 'cdn.test', 'evilcdn.test']) {
      await expect(one.fetch(`http://${host}/a.png`, 10)).rejects.toThrow();
    }
    expect(asked).toEqual(['a.cdn.test']);
  });
});
