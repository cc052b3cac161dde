/**
 * YAML's own complaints in words for somebody who does not know its grammar, with what to do. A code that is not
 * here keeps the parser's message.
 * @see https://eemeli.org/yaml/#errors
 */
const MESSAGES: Readonly<Record<string, string>> = {
  BAD_INDENT: 'this line does not fit the lines above it: check its indentation, and that every [ and { is closed',
  BAD_DQ_ESCAPE: String.raw`unknown escape in double quotes: write \\ for a backslash, or use single quotes`,
  BAD_SCALAR_START: 'a value cannot start with this character: put the value in quotes',
  BLOCK_AS_IMPLICIT_KEY:
    "a second ': ' on one line, or a line indented deeper than the one above: put a text with ': ' in quotes, or fix the indentation",
  BLOCK_IN_FLOW: 'inside { } or [ ] everything must be written in that style: check that the bracket is closed',
  MULTILINE_IMPLICIT_KEY: "expected 'key: value' on one line: is the ':' after the key missing?",
  MULTIPLE_DOCS: "the file holds more than one document: remove the line '---'",
  TAB_AS_INDENT: 'a tab indents this line: YAML takes spaces only',
};

export const TOO_DEEP = 'lists or maps are nested too deeply to be read';

/** @param code The parser's error code, such as 'TAB_AS_INDENT'. */
export function plainYamlMessage(code: string, message: string): string {
  if (/call stack/i.test(message)) return TOO_DEEP;
  if (code === 'MISSING_CHAR' && message.includes('quote')) return 'a quote is opened and never closed';
  if (code === 'TAG_RESOLVE_FAILED') return `${message}: remove the tag, values need none`;
  const plain = MESSAGES[code];
  return plain ?? `${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}
