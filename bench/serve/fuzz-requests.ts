import { createRandom } from '../../search/rng.js';

/** A request that no service should mind. */
export interface FuzzRequest {
  readonly method: 'GET' | 'POST' | 'DELETE' | 'PUT';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** What was done to it, for the report. */
  readonly kind: string;
}

/** Bad requests, the same ones for the same seed: malformed JSON, wrong types, huge numbers, broken
 *  pictures, hostile Unicode, keys of prototypes, in every field of every route. Each has a fault that
 *  must be a 4xx. */
export function* fuzzRequests(count: number, seed: string): Generator<FuzzRequest> {
  const random = createRandom(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  for (let i = 0; i < count; i++) yield pick(MUTATIONS)(pick, random);
}

type Pick = <T>(items: readonly T[]) => T;
type Mutation = (pick: Pick, random: () => number) => FuzzRequest;

const JSON_TYPE = { 'content-type': 'application/json' };

const PNG_START = 'iVBORw0KGgoAAAANSUhEUgAAAAQAAAADCAIAAAA7ljmR';

const chat = () => ({
  model: 'steptree/greedy',
  messages: [{ role: 'user', content: 'How many?' as unknown }],
});

/** Values that are wrong in every field they are put into. */
const WRONG_VALUES: readonly unknown[] = [
  [],
  [[]],
  {},
  { toString: 1 },
  { length: 1e9 },
  -1,
  -0.5,
  1.5,
  1e308,
  Number.MAX_SAFE_INTEGER + 2,
  [null],
  { $ref: '#' },
];

const FIELDS = [
  'model',
  'messages',
  'n',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'stop',
  'user',
  'frequency_penalty',
  'presence_penalty',
  'logprobs',
  'response_format',
  'steptree',
] as const;

const STEPTREE_FIELDS = [
  'strategy',
  'budget',
  'trace',
  'n',
  'maxSteps',
  'beamWidth',
  'selection',
  'aggregation',
  'samplesPerRound',
  'simulations',
  'earlyStop',
] as const;

/** Empty and null objects of optional fields are right after all. */
const isFine = (field: string, value: unknown) =>
  (['stream_options', 'steptree', 'budget'].includes(field) && JSON.stringify(value) === '{}') ||
  (field === 'stop' && Array.isArray(value) && value.length === 0);

const HOSTILE_TEXTS = [
  '\ud800',
  'a\udfff',
  '   \u2003',
  '',
  '\ud83d',
  '\udc00\ud800',
  'x'.repeat(300_000),
  '\u0000\ud8ff'.repeat(50),
];

const URLS = [
  'http://169.254.169.254/latest/meta-data',
  'http://localhost:1/a.png',
  'https://[::1]/a.png',
  'file:///etc/passwd',
  'data:image/png;base64,',
  'data:image/png;base64,AAAA',
  'data:image/png;base64,%00',
  `data:image/png;base64,${PNG_START}`,
  `data:image/png;base64,${PNG_START}${'A'.repeat(5000)}`,
  'data:image/jpeg;base64,/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgG',
  'data:image/gif;base64,R0lGODlh//////8AAAAh+QQBAAAAACwAAAAA',
  'data:image/webp;base64,UklGRv///39XRUJQVlA4IP///38wAQCdASr/P/8/',
  'data:image/svg+xml;base64,PHN2Zy8+',
  'data:text/html;base64,PHNjcmlwdD4=',
  'data:,',
  'javascript:alert(1)',
  '\\\\host\\share\\a.png',
  '../../../etc/passwd',
  '\u0000',
  '',
];

const BROKEN_JSON = [
  '',
  '{',
  '}',
  'nul',
  '{"model":',
  '{"model":"steptree"',
  '{"model":"steptree",}',
  "{'model': 'steptree'}",
  '[1,2',
  '"\\u12"',
  '\u0000',
  '\ufeff\ufeff{}',
  '{"a":1}{"b":2}',
  `${'['.repeat(20_000)}`,
  `${'{"a":'.repeat(20_000)}`,
  'NaN',
  'undefined',
  '-',
  '1e',
];

const WHOLE_BODIES: readonly unknown[] = [null, true, 0, 1e300, 'text', [], [[]], {}, { a: 1 }];

const POISON = [
  '{"__proto__":{"n":5},"model":"steptree","messages":[]}',
  '{"model":"steptree","messages":[{"role":"user","content":"a","__proto__":{"x":1}}]}',
  '{"model":"steptree","messages":[],"constructor":{"prototype":{"x":1}}}',
  '{"model":"steptree","messages":[{"role":"user","content":"a"}],"steptree":{"__proto__":{"n":5}}}',
  '{"model":"steptree","messages":[{"role":"user","content":"a"}],"steptree":{"hasOwnProperty":1}}',
  '{"model":"steptree","messages":[{"role":"user","content":"a"}],"toString":"x"}',
  '{"model":"__proto__","messages":[{"role":"user","content":"a"}]}',
  '{"model":"steptree/constructor","messages":[{"role":"user","content":"a"}]}',
];

const request = (kind: string, body: unknown, path = '/v1/chat/completions'): FuzzRequest => ({
  method: 'POST',
  path,
  headers: JSON_TYPE,
  body: typeof body === 'string' ? body : JSON.stringify(body),
  kind,
});

const MUTATIONS: readonly Mutation[] = [
  (pick) => request('broken JSON', pick(BROKEN_JSON), pick(ROUTES)),
  (pick) => request('another JSON value', pick(WHOLE_BODIES), pick(ROUTES)),
  (pick) => request('prototype key', pick(POISON)),
  (pick) => {
    const field = pick(FIELDS);
    const value = pick(WRONG_VALUES);
    return isFine(field, value)
      ? request('unknown field', { ...chat(), [`x${field}`]: value })
      : request(`wrong ${field}`, { ...chat(), [field]: value });
  },
  (pick) => {
    const field = pick(STEPTREE_FIELDS);
    const value = pick(WRONG_VALUES);
    const name = isFine(field, value) ? `x${field}` : field;
    return request(`wrong steptree.${field}`, { ...chat(), steptree: { [name]: value } });
  },
  (pick) =>
    request('huge number', {
      ...chat(),
      model: 'steptree/majority',
      [pick(['n', 'max_tokens', 'temperature', 'top_p', 'seed'])]: pick(
        [1e30, 1e100, -1e100, 9e15, 1e9, 2 ** 53].filter(
          (value) => Math.abs(value) > 9007199254740991,
        ),
      ),
    }),
  (pick) =>
    request('huge width', {
      ...chat(),
      model: 'steptree/majority',
      steptree: { [pick(['n', 'samplesPerRound'])]: pick([65, 1e4, 1e9, 2 ** 52]) },
    }),
  (pick) =>
    request('hostile text', {
      ...chat(),
      messages: [{ role: 'user', content: pick(HOSTILE_TEXTS) }],
    }),
  (pick) =>
    request('hostile picture', {
      ...chat(),
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: pick(URLS) } },
            { type: 'text', text: 'What?' },
          ],
        },
      ],
    }),
  (pick) =>
    request('too many pictures', {
      ...chat(),
      messages: [
        {
          role: 'user',
          content: Array.from({ length: pick([9, 1000]) }, () => {
            return { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
          }),
        },
      ],
    }),
  (pick) =>
    request('wrong messages', {
      ...chat(),
      messages: pick<unknown>([
        [],
        [{}],
        [{ role: 'user' }],
        [{ role: 'tool', content: 'a' }],
        [{ role: 'user', content: null }],
        [{ role: 'user', content: 5 }],
        [{ role: 'user', content: [] }],
        [{ role: 'user', content: [{ type: 'text' }] }],
        [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }],
        [{ role: 'user', content: [{ type: 'image_url', image_url: 'data:' }] }],
        [{ role: 'assistant', content: 'a' }],
        [{ role: 'system', content: 'a' }],
        Array.from({ length: 65 }, () => ({ role: 'user', content: 'a' })),
        'How many?',
      ]),
    }),
  (pick, random) => {
    // A right request of which a random character is another one, so that it is no JSON, or another.
    const text = JSON.stringify({ ...chat(), unknown_field: 1 });
    const place = Math.floor(random() * text.length);
    const wrong = pick(['\u0000', '{', '"', ',', '\\', '\ufffd']);
    return request('changed character', text.slice(0, place) + wrong + text.slice(place + 1));
  },
  (pick) => ({
    ...request('another media type', chat()),
    headers: {
      'content-type': pick([
        'text/plain',
        'text/html',
        'application/xml',
        'multipart/form-data',
        'x',
      ]),
    },
  }),
  (pick) => ({
    method: pick(['GET', 'PUT', 'DELETE'] as const),
    path: pick([
      '/v1/chat/completions',
      '/v1/score',
      '/v1/none',
      '/v1/../etc/passwd',
      '/%00',
      '/%',
    ]),
    headers: {},
    body: '',
    kind: 'another route',
  }),
  (pick) => ({
    method: pick(['GET', 'DELETE'] as const),
    path: `/v1/${pick(['traces', 'jobs'])}/${pick([
      '..%2f..%2fetc',
      '__proto__',
      'constructor',
      '%00',
      'x'.repeat(300),
      '%ff',
      '%E0%A4%A',
    ])}`,
    headers: {},
    body: '',
    kind: 'hostile id',
  }),
  (pick) =>
    request(
      'strategy in the path',
      { ...chat(), model: 'steptree' },
      `/v1/${pick(['__proto__', 'toString', 'x', '%00', '..%2f..', 'beam%20'])}/chat/completions`,
    ),
  (pick) =>
    request(
      'wrong score request',
      {
        question: pick<unknown>(['Q', '', 5, null, '\ud800']),
        solutions: pick<unknown>([[], [[]], [['']], 'a', [[5]], [['\ud800']], null]),
      },
      '/v1/score',
    ),
  (pick) =>
    request(
      'wrong job',
      {
        kind: pick(['label', 'bench', 'x', '__proto__']),
        problems: pick<unknown>([
          [],
          5,
          [{}],
          [{ id: 'p', question: 'Q', answer: '1', image: '/etc/passwd' }],
          [{ id: '', question: 'Q', answer: '1' }],
        ]),
        options: pick<unknown>([{}, { policy: 'http://10.0.0.1' }, { numRollouts: -1 }, 5]),
      },
      '/v1/jobs',
    ),
];

const ROUTES = ['/v1/chat/completions', '/v1/score', '/v1/jobs', '/v1/greedy/chat/completions'];
