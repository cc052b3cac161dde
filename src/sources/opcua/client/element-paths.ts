import { DataType, type Variant, VariantArrayType } from 'node-opcua-client';
import { parseValuePath } from '../value-path.ts';
import { variantNumber } from './variant-number.ts';

/** Elements of an array and fields of structures that are listed; further ones can be addressed all the same. */
const ELEMENTS_MAX = 64;
const DEPTH_MAX = 4;

/** Returns the paths of a value that lead to numbers; undefined stands for the whole value. */
export function elementPaths(variant: Variant): readonly (string | undefined)[] {
  const whole = candidates(variant);
  return whole.filter((path) => {
    const steps = path === undefined ? undefined : parseValuePath(path);
    if (path !== undefined && steps === undefined) return false;
    const found = variantNumber(variant, steps, undefined);
    return found.value !== undefined;
  });
}

function candidates({ dataType, arrayType, dimensions, value }: Variant): readonly (string | undefined)[] {
  if (arrayType === VariantArrayType.Scalar)
    return dataType === DataType.ExtensionObject ? fieldPaths(value, '', 0) : [undefined];
  const lengths = (dimensions?.length ?? 0) > 0 ? (dimensions ?? []) : [lengthOf(value)];
  const indexes = lengths
    .reduce<readonly (readonly number[])[]>(
      (all, length) =>
        all.flatMap((each) => Array.from({ length: Math.min(length, ELEMENTS_MAX) }, (_, index) => [...each, index])),
      [[]],
    )
    .slice(0, ELEMENTS_MAX);
  return indexes.flatMap((index) => {
    const path = `[${index.join(',')}]`;
    if (dataType !== DataType.ExtensionObject || index.length !== 1) return [path];
    return fieldPaths((value as ArrayLike<unknown>)[index[0] ?? 0], path, 1);
  });
}

function fieldPaths(value: unknown, prefix: string, depth: number): readonly string[] {
  if (typeof value !== 'object' || value === null || depth > DEPTH_MAX) return [];
  return Object.entries(value)
    .filter(([name]) => name !== 'schema')
    .flatMap(([name, field]) => {
      const path = prefix === '' ? name : `${prefix}.${name}`;
      const length = lengthOf(field);
      // A 64-bit integer is a list of two words; its path as a whole is tried, too.
      const elements = Array.from({ length: Math.min(length, ELEMENTS_MAX) }, (_, index) => `${path}[${index}]`);
      return [path, ...elements, ...(length > 0 ? [] : fieldPaths(field, path, depth + 1))];
    });
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) || ArrayBuffer.isView(value) ? (value as ArrayLike<unknown>).length : 0;
}
