import * as z from 'zod';
import { isMarkedNonFinite, parseJson } from '../../protocols/open-inference/json-text.ts';
import type { Decoder } from '../v2/decoder.ts';
import { malformed } from '../../protocols/open-inference/malformed.ts';

/** Enough for ten thousand token ids. JSON of this size occupies the main thread for 1 ms. */
export const GENERATE_BODY_BYTES_MAX = 65_536;

const TOKENS_DEFAULT = 16;
const TEMPERATURE_MAX = 100;
const ID_LENGTH_MAX = 1024;
const SHOWN_LENGTH_MAX = 40;

/** @param tokensMax Largest value of `max_tokens`. */
export function generateBody(tokensMax: number) {
  const tokensDefault = Math.min(TOKENS_DEFAULT, tokensMax);
  const parameters = object({
    max_tokens: wholeNumber(1, tokensMax)
      .default(tokensDefault)
      .describe('Most tokens to write. `generation.maxTokens` of the model limits prompt and answer together'),
    temperature: numberUpTo(TEMPERATURE_MAX)
      .default(0)
      .describe(
        '0 always selects the most likely token; 1 samples with the probabilities of the model; more is more uniform',
      ),
    top_k: wholeNumber(1, Number.MAX_SAFE_INTEGER)
      .optional()
      .describe('Samples only from this number of most likely tokens'),
    seed: wholeNumber(0, 2 ** 32 - 1)
      .optional()
      .describe('The same seed gives the same tokens, with the same model version on the same hardware'),
  });
  return object({
    id: z
      .string({ error: (issue) => `is ${shown(issue.input)}, expected a string` })
      .refine((id) => !isMarkedNonFinite(id), { error: 'is not a string' })
      // Not `max`, which also accepts an object that has a length.
      .refine((id) => id.length <= ID_LENGTH_MAX, { error: `has more than ${ID_LENGTH_MAX} characters` })
      .optional()
      .describe('Returned in each response'),
    input_ids: tokenIds,
    parameters: parameters.prefault({}),
  });
}

export type GenerateBody = z.infer<ReturnType<typeof generateBody>>;

/** Parses the bytes of a body. */
export function readBody(body: unknown): unknown {
  return parseJson(Buffer.isBuffer(body) ? body : Buffer.alloc(0));
}

/** Returns the first problem of a body, with its position. */
export function bodyError(problems: readonly { readonly instancePath?: string; readonly message?: string }[]): Error {
  const [problem] = problems;
  const place = (problem?.instancePath ?? '').slice(1).replaceAll('/', '.');
  return malformed(`${place === '' ? 'The request' : `'${place}'`} ${problem?.message}`);
}

/** @throws {OperatingError} 'infer-request-invalid' if a token is unknown to the model, or the prompt leaves no room for one. */
export function checkPrompt({ generation, vocabulary, served }: Decoder, prompt: readonly number[]): void {
  const { name } = served.manifest;
  const { maxTokens } = generation;
  if (prompt.length >= maxTokens)
    throw malformed(
      `'input_ids' has ${prompt.length} tokens; model '${name}' accepts ${maxTokens - 1}, because prompt and answer together are at most ${maxTokens}`,
    );
  if (vocabulary === undefined) return;
  const index = prompt.findIndex((token) => token >= vocabulary);
  if (index >= 0)
    throw malformed(`input_ids[${index}] is ${prompt[index]}; model '${name}' has tokens 0 to ${vocabulary - 1}`);
}

/** Stops at the first invalid token: zod's own arrays collect thousands of issues, which would block the main thread. */
const tokenIds = z
  .unknown()
  .transform((value, context): readonly number[] => {
    const problem = tokenIdsProblem(value);
    if (problem === undefined) return value as readonly number[];
    context.issues.push({ code: 'custom', message: problem, input: value });
    return z.NEVER;
  })
  .meta({
    description: 'Token ids of the prompt',
    type: 'array',
    items: { type: 'integer', minimum: 0 },
    minItems: 1,
  });

function tokenIdsProblem(value: unknown): string | undefined {
  if (!Array.isArray(value)) return 'is missing or not an array';
  if (value.length === 0) return 'has no tokens, expected at least one';
  const ids: readonly unknown[] = value;
  const index = ids.findIndex((id) => typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0);
  return index < 0 ? undefined : `has ${shown(ids[index])} at ${index}, expected whole numbers of 0 or more`;
}

function object<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const known = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `has the unknown key '${cut(String(issue.keys[0]))}'; expected ${known}`
        : 'is not a JSON object',
  });
}

function wholeNumber(min: number, max: number) {
  const error = (issue: { readonly input?: unknown }) =>
    `is ${shown(issue.input)}, expected a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

function numberUpTo(max: number) {
  const error = (issue: { readonly input?: unknown }) => `is ${shown(issue.input)}, expected a number from 0 to ${max}`;
  return z.number({ error }).min(0, { error }).max(max, { error });
}

function shown(value: unknown): string {
  return cut(JSON.stringify(value) ?? 'missing');
}

function cut(text: string): string {
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
}
