import { isMarkedNonFinite } from './json-text.ts';
import { malformed } from './malformed.ts';

/** Maximum number of elements of a list in a message; each costs a few hundred bytes with any content. */
const LIST_LENGTH_MAX = 1024;
const NAME_LENGTH_MAX = 1024;

/** Parsed JSON object. Each value is checked by its reader. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Parameters of a message or a tensor; the protocol has no other types. */
type ParameterValue = string | number | boolean;
export type MessageParameters = Readonly<Record<string, ParameterValue>>;

/*
 * Readers of parsed JSON. Each throws {OperatingError} 'infer-request-invalid', and its message begins with `what`, the position in the message.
 */

export function objectOf(value: unknown, what: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(`${what} is not a JSON object`);
  return value as JsonObject;
}

export function listOf(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed(`${what} is missing or not an array`);
  if (value.length > LIST_LENGTH_MAX)
    throw malformed(`${what} has ${value.length} elements; the limit is ${LIST_LENGTH_MAX}`);
  return value;
}

export function stringOf(value: unknown, what: string): string {
  if (typeof value !== 'string' || value === '' || isMarkedNonFinite(value))
    throw malformed(`${what} is missing or not a string`);
  return value;
}

export function optionalStringOf(value: unknown, what: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string' || isMarkedNonFinite(value)) throw malformed(`${what} is not a string`);
  return value;
}

export function nameOf(owner: JsonObject, what: string): string {
  const name = stringOf(owner['name'], `${what} 'name'`);
  if (name.length > NAME_LENGTH_MAX) throw malformed(`${what} has a name of ${name.length} characters`);
  return name;
}

export function parametersOf(owner: JsonObject, what: string): MessageParameters {
  const value = owner['parameters'];
  if (value === undefined || value === null) return {};
  const entries = Object.entries(objectOf(value, `${what} 'parameters'`));
  return Object.fromEntries(
    entries.map(([name, parameter]) => {
      if (typeof parameter === 'string' && isMarkedNonFinite(parameter))
        throw malformed(
          `${what} has parameter '${name.slice(0, 40)}' that is ${parameter.slice(1)}, expected a finite number`,
        );
      if (typeof parameter === 'string' || typeof parameter === 'number' || typeof parameter === 'boolean')
        return [name, parameter];
      throw malformed(`${what} has parameter '${name.slice(0, 40)}' that is not a string, number or boolean`);
    }),
  );
}
