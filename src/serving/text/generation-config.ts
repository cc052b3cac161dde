import type * as z from 'zod';
import { byteSize, configObject, wholeNumber } from '../../platform/config-fields.ts';

export const generationSchema = configObject({
  maxConcurrent: wholeNumber('Most text generations at a time. One more is answered with 503', 1_000).default(8),
  maxTokens: wholeNumber('Most tokens that one generation may write. A request for more is refused', 1_000_000).default(
    1024,
  ),
  maxMemory: byteSize(
    'Most memory for the key-value caches of all running generations. Each cache is counted at its largest size, for the input and the output of a step. A larger cache makes each token slower',
  ).prefault('32MB'),
}).describe('Text generation by decoder models (/v2/models/<name>/generate and generate_stream)');

export type GenerationConfig = z.infer<typeof generationSchema>;
