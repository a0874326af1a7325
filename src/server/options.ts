import { z } from 'zod';

/** Timers that are set to more than 2^31 ms are over at once. */
const MAX_SECONDS = 2_000_000;

/** What belongs to the service alone; models, sampling and budgets have the schemas of `solve`. */
export const serverOptions = z.strictObject({
  host: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('address to listen on; any but loopback needs an API key'),
  port: z.int().min(0).max(65_535).default(8712).describe('port to listen on; 0 takes a free one'),
  allowHosts: z
    .array(z.string().min(1))
    .default([])
    .describe('further names by which a Host header may call a service on loopback'),
  keys: z
    .string()
    .default('')
    .describe('file of API keys, written by `steptree serve keys`; read again when it changes'),
  rateLimit: z
    .int()
    .min(0)
    .default(0)
    .describe('requests a minute per key, or per address without keys; 0 is no limit'),
  maxConcurrent: z.int().min(1).default(64).describe('requests that are worked on at once'),
  maxQueue: z
    .int()
    .min(0)
    .default(256)
    .describe('requests that wait for a place; further ones are refused with 429'),
  requestSeconds: z
    .number()
    .gt(0)
    .max(MAX_SECONDS)
    .default(600)
    .describe('deadline of a request from its place in the queue on; then 504'),
  drainSeconds: z
    .number()
    .min(0)
    .max(MAX_SECONDS)
    .default(30)
    .describe('time that running requests have to end after SIGTERM'),
  maxAnswers: z.int().min(1).default(16).describe('greatest n: answers returned'),
  maxWidth: z
    .int()
    .min(1)
    .default(64)
    .describe('greatest value of a whole number among strategy options whose default is smaller'),
  maxAnswerTokens: z.int().min(1).default(8192).describe('greatest max_tokens of a request'),
  maxBodyMb: z.number().gt(0).max(1024).default(24).describe('size of a request, MB'),
  maxPendingMb: z
    .number()
    .gt(0)
    .default(512)
    .describe('size of all requests under way together, MB; further ones are refused with 429'),
  maxTextChars: z.int().min(1).default(200_000).describe('characters of all messages together'),
  maxMessages: z.int().min(1).default(64).describe('messages of a request'),
  maxImages: z.int().min(0).default(8).describe('pictures of a request'),
  maxImageMb: z.number().gt(0).default(10).describe('size of a picture, MB'),
  maxImagePixels: z
    .int()
    .min(1)
    .default(20_000_000)
    .describe('pixels of a picture, all its frames'),
  allowImageHosts: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'hosts whose http(s) pictures are fetched: name, name:port or *.name; private addresses are refused all the same',
    ),
  allowImageDirs: z
    .array(z.string().min(1))
    .default([])
    .describe('folders whose pictures may be named by file: URLs'),
  imageFetchSeconds: z
    .number()
    .gt(0)
    .max(MAX_SECONDS)
    .default(10)
    .describe('deadline of fetching a picture'),
  traces: z
    .int()
    .min(0)
    .default(200)
    .describe('solves whose tree is kept for /v1/traces; 0 is none'),
  traceMb: z.number().gt(0).default(64).describe('memory for those, MB'),
  jobs: z
    .string()
    .default('')
    .describe('folder of /v1/jobs; unfinished jobs go on at start; without it there are no jobs'),
  runs: z
    .string()
    .default('')
    .describe(
      'folder of runs that /ui shows to everyone who gets in; default: that of --jobs if there are no --keys, else none',
    ),
  maxJobs: z.int().min(1).default(1).describe('jobs that run at once; others wait'),
  maxQueuedJobs: z.int().min(1).default(100).describe('jobs that wait or run, at most'),
  logLevel: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('what is logged, as JSON lines on stderr'),
  logContent: z
    .boolean()
    .default(false)
    .describe('log questions and answers too; keys and pictures never are'),
});

export type ServerOptions = z.infer<typeof serverOptions>;
