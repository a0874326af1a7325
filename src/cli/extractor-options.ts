import { z } from 'zod';

/** Who extracts, beside the rules; shared with `bench run`. */
export const extractorOptions = z.strictObject({
  extractor: z
    .string()
    .default('')
    .describe('URL of a chat server that extracts answers; the judge flags name its model and key'),
  extractorMode: z
    .enum(['fallback', 'always'])
    .default('fallback')
    .describe('ask the extractor where rules find no answer, or always'),
});
