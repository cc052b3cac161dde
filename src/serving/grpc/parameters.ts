import type { MessageParameters } from '../../protocols/open-inference/json-fields.ts';
import { malformed } from '../../protocols/open-inference/malformed.ts';

/** A 64-bit integer, as the library `long` has it. */
export type Long = { readonly high: number; readonly low: number; readonly unsigned: boolean; toNumber(): number };

/** `InferParameter`, with the name of the field that is set. */
type ParameterMessage = {
  readonly parameter_choice?: 'bool_param' | 'int64_param' | 'string_param' | 'double_param' | 'uint64_param';
  readonly bool_param?: boolean;
  readonly int64_param?: Long;
  readonly string_param?: string;
  readonly double_param?: number;
  readonly uint64_param?: Long;
};
export type ParameterMessages = Readonly<Record<string, ParameterMessage>>;

/**
 * Returns parameters as in JSON.
 *
 * @throws {OperatingError} 'infer-request-invalid' if one is empty, or an integer beyond 2^53, which JSON would round.
 */
export function readParameters(messages: ParameterMessages): MessageParameters {
  return Object.fromEntries(Object.entries(messages).map(([name, message]) => [name, valueOf(name, message)]));
}

export function writeParameters(parameters: MessageParameters): Readonly<Record<string, object>> {
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, messageOf(value)]));
}

function valueOf(name: string, message: ParameterMessage): MessageParameters[string] {
  const value = message.parameter_choice === undefined ? undefined : message[message.parameter_choice];
  if (value === undefined) throw malformed(`Parameter '${name.slice(0, 40)}' has no value`);
  if (typeof value !== 'object') return value;
  const number = value.toNumber();
  if (Number.isSafeInteger(number)) return number;
  throw malformed(`Parameter '${name.slice(0, 40)}' is ${number}, expected an integer up to 2^53`);
}

function messageOf(value: MessageParameters[string]): object {
  if (typeof value === 'boolean') return { bool_param: value };
  if (typeof value === 'string') return { string_param: value };
  return Number.isSafeInteger(value) ? { int64_param: value } : { double_param: value };
}
