import type { Output } from './output.ts';

/** Prints the result of a command: with `--json` one document, else text. */
export function printResult(
  output: Output,
  { json }: { readonly json?: boolean },
  result: { readonly document: unknown; readonly text: string },
): void {
  output.out(json === true ? JSON.stringify(result.document) : result.text);
}
