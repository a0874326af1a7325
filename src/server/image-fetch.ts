import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';
import { SteptreeError } from '../../search/errors.js';
import { isPublicAddress } from './addresses.js';
import { brief } from './errors.js';

export interface ImageFetcher {
  /** @throws SteptreeError SERVE_IMAGE_REFUSED, SERVE_IMAGE_TOO_LARGE */
  fetch(url: string, maxBytes: number): Promise<Buffer>;
}

export interface FetchSettings {
  /** `name`, `name:port` or `*.name`; nothing is fetched without one. */
  readonly allowImageHosts: readonly string[];
  readonly imageFetchSeconds: number;
  /** In place of the system's name service and of the public internet, for tests. */
  readonly resolve?: (host: string) => Promise<readonly LookupAddress[]>;
  readonly isAllowedAddress?: (address: string) => boolean;
}

const MAX_REDIRECTS = 3;

const resolveAll = (host: string): Promise<readonly LookupAddress[]> =>
  promisify(systemLookup)(host, { all: true, verbatim: true });

/** Fetches pictures from hosts of an allow-list, at public addresses only. A name is resolved once,
 *  every address that it has is checked, and the connection goes to a checked one: a name that
 *  changes in between (DNS rebinding) changes nothing. Redirects are checked as the first URL is. */
export function createImageFetcher(settings: FetchSettings): ImageFetcher {
  const { resolve = resolveAll, isAllowedAddress = isPublicAddress } = settings;
  const hop = async (url: URL, maxBytes: number, signal: AbortSignal): Promise<Buffer | URL> => {
    refuseUrl(url, settings.allowImageHosts);
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
    const addresses =
      isIP(host) > 0 ? [{ address: host, family: isIP(host) }] : await resolve(host);
    const [first] = addresses;
    if (first === undefined || !addresses.every(({ address }) => isAllowedAddress(address))) {
      throw refused(url, 'its address is not on the public internet');
    }
    const dispatcher = new Agent({ connect: { lookup: pinned(first) }, pipelining: 0 });
    try {
      const { statusCode, headers, body } = await request(url, {
        dispatcher,
        signal,
        headers: { accept: 'image/png, image/jpeg, image/webp, image/gif' },
      });
      const { location } = headers;
      if (statusCode >= 300 && statusCode < 400 && typeof location === 'string') {
        return new URL(location, url);
      }
      if (statusCode !== 200) throw refused(url, `its server answered ${statusCode}`);
      return await readAtMost(body, maxBytes);
    } finally {
      await dispatcher.destroy();
    }
  };
  return {
    fetch: async (text, maxBytes) => {
      if (settings.allowImageHosts.length === 0) {
        throw new SteptreeError(
          'SERVE_IMAGE_REFUSED',
          'pictures are not fetched here (--allow-image-hosts); send a data: URL',
          { param: 'messages' },
        );
      }
      if (!URL.canParse(text)) throw refused(text, 'it is no URL');
      const signal = AbortSignal.timeout(settings.imageFetchSeconds * 1000);
      let url = new URL(text);
      for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
        const found = await hop(url, maxBytes, signal).catch((error: unknown) => {
          if (error instanceof SteptreeError) throw error;
          // The cause could tell a client what lies in our network.
          throw refused(url, 'it could not be fetched');
        });
        if (Buffer.isBuffer(found)) return found;
        url = found;
      }
      throw refused(url, `it redirects more than ${MAX_REDIRECTS} times`);
    },
  };
}

/** Connects to this address whatever the name is said to be by now. */
function pinned({ address, family }: LookupAddress): LookupFunction {
  return (_host, options, done) => {
    if (options.all) done(null, [{ address, family }]);
    else done(null, address, family);
  };
}

function refuseUrl(url: URL, allowed: readonly string[]): void {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refused(url, 'it is no http(s)');
  if (url.username !== '' || url.password !== '') throw refused(url, 'it holds a password');
  const isDefaultPort = url.port === '';
  const name = url.hostname.toLowerCase().replace(/\.$/, '');
  const isAllowed = allowed.some((entry) => {
    const pattern = entry.toLowerCase();
    if (pattern === `${name}:${url.port}`) return true;
    if (!isDefaultPort) return false;
    return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) : pattern === name;
  });
  if (!isAllowed) throw refused(url, 'its host is not allowed (--allow-image-hosts)');
}

async function readAtMost(body: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > maxBytes) {
      throw new SteptreeError(
        'SERVE_IMAGE_TOO_LARGE',
        `a picture has more than ${maxBytes} bytes (--max-image-mb)`,
        { param: 'messages', limit: maxBytes },
      );
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function refused(url: URL | string, why: string): SteptreeError {
  return new SteptreeError(
    'SERVE_IMAGE_REFUSED',
    `the picture ${brief(shown(url))} is not fetched: ${why}; send a data: URL`,
    { param: 'messages' },
  );
}

/** Without passwords and query, which may be secrets. */
function shown(url: URL | string): string {
  return typeof url === 'string' ? url : `${url.protocol}//${url.host}${url.pathname}`;
}
