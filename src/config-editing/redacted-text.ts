import { isPair, isScalar, parseDocument, visit } from 'yaml';
import { configJsonSchema, mayHoldSecret, schemaAt } from '../config/config-json-schema.ts';
import { PositionedDocument } from '../platform/positioned-document.ts';

const REDACTED = "'•••'";

/**
 * Returns a configuration with every literal text that may be a secret replaced, such as a header of an uplink. References to
 * secrets stay, and so do lines and comments.
 */
export function redactedText(text: string): string {
  const { value } = new PositionedDocument(text);
  const schema = configJsonSchema();
  const ranges: (readonly [number, number])[] = [];
  visit(parseDocument(text), {
    Scalar: (place, { range }, ancestors) => {
      if (place !== 'value' || range === undefined || range === null) return;
      // No list of the configuration has secrets.
      const path = ancestors.flatMap((each) => (isPair(each) && isScalar(each.key) ? [String(each.key.value)] : []));
      const node = schemaAt(schema, path, value);
      if (node !== undefined && mayHoldSecret(node)) ranges.push([range[0], range[1]]);
    },
  });
  return ranges.reduceRight((rest, [start, end]) => rest.slice(0, start) + REDACTED + rest.slice(end), text);
}
