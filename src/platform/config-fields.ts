import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { byteSizePattern, parseByteSize } from '../domain/byte-size.ts';
import { durationPattern, parseDurationMs } from '../domain/duration.ts';
import { errorMessage, OperatingError } from './errors.ts';

/** Unit of a parsed number, as in the suffix of its name. */
type Unit = 'Ms' | 'Bytes';

const units = z.registry<{ unit: Unit }>();

/** Field of a `configObject` for a duration such as `100ms`, `5s` or `7d`. Milliseconds after parsing. */
export function duration(description: string, limits: { readonly minMs?: number; readonly maxMs?: number } = {}) {
  return z
    .string({ error: 'expected a duration such as 100ms, 5s, 10m or 7d' })
    .regex(durationPattern, { error: 'expected a duration such as 100ms, 5s, 10m or 7d' })
    .transform((text) => parseDurationMs(text) ?? 0)
    .refine((value) => value >= (limits.minMs ?? 0), { error: `must be ${limits.minMs ?? 0} ms or more` })
    .refine((value) => value <= (limits.maxMs ?? Number.MAX_SAFE_INTEGER), {
      error: `must be ${limits.maxMs} ms or less`,
    })
    .brand<'Ms'>()
    .describe(description)
    .register(units, { unit: 'Ms' });
}

/** Field for a whole number from 1, or `min`, to `max`. */
export function wholeNumber(description: string, max = Number.MAX_SAFE_INTEGER, min = 1) {
  return z.int().min(min).max(max).describe(description);
}

/** Field of a `configObject` for a size such as `64kB`, `512MB` or `2GB`. Bytes after parsing. */
export function byteSize(description: string) {
  return z
    .string({ error: 'expected a size such as 64kB, 512MB or 2GB' })
    .regex(byteSizePattern, { error: 'expected a size such as 64kB, 512MB or 2GB' })
    .transform((text) => parseByteSize(text) ?? 0)
    .brand<'Bytes'>()
    .describe(description)
    .register(units, { unit: 'Bytes' });
}

/**
 * Strict object. Its parsed form names the unit of each duration and size: the key `timeout: 1s` becomes
 * `timeoutMs: 1000`, and `maxSize: 2GB` becomes `maxSizeBytes`. JSON Schema, docs and error paths keep the key.
 */
export function configObject<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const parsedKeys = new Map(Object.entries(shape).map(([key, field]) => [key, parsedKey(key, unitOf(field))]));
  const schema = z
    .strictObject(shape)
    .overwrite(
      (fields: object) =>
        Object.fromEntries(Object.entries(fields).map(([key, value]) => [parsedKeys.get(key) ?? key, value])) as never,
    );
  // `overwrite` keeps zod's object type, although the keys change.
  return schema as unknown as z.ZodType<Parsed<z.output<Strict<Shape>>>, z.input<Strict<Shape>>>;
}

type Strict<Shape extends z.core.$ZodLooseShape> = z.ZodObject<Shape, z.core.$strict>;

type Parsed<Fields> = { [Key in keyof Fields as ParsedKey<Key, Fields[Key]>]: WithoutBrand<Fields[Key]> };
type ParsedKey<Key, Value> = Key extends string
  ? [Extract<Value, z.core.$brand<'Ms'>>] extends [never]
    ? [Extract<Value, z.core.$brand<'Bytes'>>] extends [never]
      ? Key
      : Key extends `bytes${string}` | `${string}Bytes${string}`
        ? Key
        : `${Key}Bytes`
    : `${Key}Ms`
  : never;
type WithoutBrand<Value> = Value extends z.core.$brand<'Ms'> | z.core.$brand<'Bytes'> ? number : Value;

function parsedKey(key: string, unit: Unit | undefined): string {
  const isNamed = unit === undefined || (unit === 'Bytes' && /^bytes|Bytes/.test(key));
  return isNamed ? key : `${key}${unit}`;
}

function unitOf(field: z.core.$ZodType): Unit | undefined {
  if (field instanceof z.ZodOptional || field instanceof z.ZodDefault || field instanceof z.ZodPrefault)
    return unitOf(field.unwrap());
  if (field instanceof z.ZodUnion) return field.options.map(unitOf).find((unit) => unit !== undefined);
  return units.get(field)?.unit;
}

/** Reference to a secret. The secret itself must not be in the configuration. */
export const secretReference = z
  .union([z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })], {
    error: 'expected { env: NAME } or { file: PATH }: a secret must not be in the configuration',
  })
  .describe('A secret by reference: { env: NAME } or { file: PATH }');
export type SecretReference = z.infer<typeof secretReference>;

/** Field for the URL of an HTTP server. @param expected Form after `https://`, for the message. */
export function httpUrl(expected: string) {
  return z.string().superRefine((text, context) => {
    const url = URL.parse(text);
    const issue = (message: string) => context.addIssue({ code: 'custom', message, input: text });
    if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
      return issue(`expected https://${expected} or http://${expected}`);
    if (url.username !== '' || url.password !== '')
      issue('user and password must not be in the url: use a header with a secret reference');
  });
}

/** RFC 9110, section 5.6.2 (token). */
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Headers that every client sets itself. */
const clientHeaders: readonly string[] = [
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'transfer-encoding',
];

/**
 * Field for additional HTTP headers. Values are texts or secret references.
 *
 * @param own Names, in lower case, of further headers that andon sets itself.
 * @param setBy Component that sets them, for the message.
 */
export function additionalHeaders(own: readonly string[], setBy: string) {
  const name = z
    .string()
    .regex(headerName, { error: 'expected the name of an HTTP header' })
    .refine((text) => ![...clientHeaders, ...own].includes(text.toLowerCase()), {
      error: `this header is set by ${setBy}`,
    });
  return z.record(name, z.union([z.string(), secretReference])).default({});
}

/** ISA-95 location: levels joined by '/'. They may become levels of topics, in which '+' and '#' have a meaning. */
export function locationField() {
  return z.string().regex(/^[^+#/\p{Cc}]+(\/[^+#/\p{Cc}]+)*$/u, {
    error: "expected levels joined by '/', such as acme/lyon/filling/line-2, without empty levels, '+' and '#'",
  });
}

/**
 * Reads a secret. The line break at the end of a file is not part of it.
 * @throws {OperatingError} 'secret-missing' (retry: a credential may be mounted later).
 */
export function readSecret(reference: SecretReference): string {
  if ('env' in reference) {
    const value = process.env[reference.env];
    if (value === undefined || value === '')
      throw new OperatingError('secret-missing', 'retry', `Environment variable ${reference.env} is not set or empty`);
    return value;
  }
  const secret = readSecretFile(reference.file);
  // An empty token would accept requests without a token.
  if (secret === '') throw new OperatingError('secret-missing', 'retry', `Secret file ${reference.file} is empty`);
  return secret;
}

function readSecretFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new OperatingError('secret-missing', 'retry', `Secret file ${path}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
