/** Output of a command: results go to `out`, messages to `err`. Each call is one or more whole lines. */
export type Output = {
  out(text: string): void;
  err(text: string): void;
};

/**
 * Returns text for a terminal. A name from a model or a server must not move the cursor or hide a line, so control
 * characters are written as in JSON, which keeps a document valid. Line breaks, tabs and colours stay.
 */
export function legible(text: string): string {
  return text.replaceAll(/\p{Cc}(?:\[\d+m)?/gu, (found) => {
    const [control = ''] = found;
    const isColour = control === '\u001b' && found.length > 1;
    if (control === '\n' || control === '\t' || isColour) return found;
    return `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}${found.slice(1)}`;
  });
}

/** Prints the result of a command: with `--json` one document, else text. */
export function printResult(
  output: Output,
  { json }: { readonly json?: boolean },
  result: { readonly document: unknown; readonly text: string },
): void {
  output.out(json === true ? JSON.stringify(result.document) : result.text);
}
