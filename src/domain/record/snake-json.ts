/** `sinceMs` becomes `since_ms`. */
type SnakeKey<Key> = Key extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${SnakeKey<Rest>}`
  : Key;

/** A value as JSON: snake-case keys, null for undefined, and maps as objects. */
export type SnakeJson<Value> = Value extends undefined
  ? null
  : Value extends ReadonlyMap<string, infer Item>
    ? Record<string, SnakeJson<Item>>
    : Value extends Float64Array
      ? number[]
      : Value extends readonly (infer Item)[]
        ? SnakeJson<Item>[]
        : Value extends object
          ? { -readonly [Key in keyof Value as SnakeKey<Key>]: SnakeJson<Value[Key]> }
          : Value;

/** Returns a plain value in the notation of andon's JSON. The keys of a Map are names of the user and stay as they are. */
export function snakeJson<const Value>(value: Value): SnakeJson<Value> {
  // The type describes what `converted` does with each kind of value.
  return converted(value) as SnakeJson<Value>;
}

function converted(value: unknown): unknown {
  if (value === undefined) return null;
  if (value instanceof Float64Array) return [...value];
  if (Array.isArray(value)) return value.map(converted);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, converted(item)]));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [snakeCase(key), converted(item)]));
}

function snakeCase(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
