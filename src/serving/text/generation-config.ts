import * as z from 'zod';
import { byteSize, configObject } from '../../platform/config-fields.ts';

export const generationSchema = configObject({
  maxConcurrent: z
    .int()
    .min(1)
    .max(1_000)
    .default(8)
    .describe('Generations of text at a time; a further one is answered with 503'),
  maxTokens: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(1024)
    .describe('Most tokens that one generation may write; a request for more is refused'),
  maxMemory: byteSize(
    'Memory for the caches of all generations together. Each cache is counted at its full size, before and after a step. The larger a cache, the longer a token takes',
  ).prefault('32MB'),
}).describe('Generation of text by decoders (/v2/models/<name>/generate and generate_stream)');

export type GenerationConfig = z.infer<typeof generationSchema>;
