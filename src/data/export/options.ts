import { z } from 'zod';

export const EXPORT_FORMATS = ['mm-prm', 'trl', 'visualprm', 'parquet'] as const;

export const exportOptions = z.strictObject({
  to: z.enum(EXPORT_FORMATS).default('parquet').describe('format of the training data'),
  images: z
    .enum(['embed', 'path'])
    .default('embed')
    .describe('parquet: hold the bytes of the pictures, or their paths only'),
  problemsDir: z
    .string()
    .default('')
    .describe("folder from which relative image paths start; default: the problem file's"),
  balance: z
    .boolean()
    .default(true)
    .describe('mm-prm: per tree keep at most as many positive paths as negative ones'),
  seed: z.int().min(0).default(0).describe('mm-prm: seed of the choice that --balance makes'),
  minWords: z
    .int()
    .min(0)
    .default(10)
    .describe('mm-prm: texts of so many space-separated words or fewer are dropped'),
  threshold: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('trl, visualprm: a step is right if its label is above this'),
  earlyStop: z
    .boolean()
    .default(false)
    .describe('visualprm: end a conversation at its first wrong step'),
});

export type ExportOptions = z.infer<typeof exportOptions>;
