/**
 * Messages of the YAML parser for users who do not know its grammar, with what to do. Other codes keep the message of
 * the parser.
 * @see https://eemeli.org/yaml/#errors
 */
const MESSAGES: Readonly<Record<string, string>> = {
  BAD_INDENT: 'the indentation does not match the lines above: check it, and check that every [ and { is closed',
  BAD_DQ_ESCAPE: String.raw`unknown escape in double quotes: write \\ for a backslash, or use single quotes`,
  BAD_SCALAR_START: 'a value cannot start with this character: put the value in quotes',
  BLOCK_AS_IMPLICIT_KEY:
    "a second ': ' on one line, or a line indented deeper than the one above: put a text with ': ' in quotes, or fix the indentation",
  BLOCK_IN_FLOW: 'indented YAML inside { } or [ ]: check that the bracket is closed',
  MULTILINE_IMPLICIT_KEY: "expected 'key: value' on one line: check that there is a ':' after the key",
  MULTIPLE_DOCS: "the file has more than one document: remove the line '---'",
  TAB_AS_INDENT: 'a tab indents this line: use spaces',
};

export const TOO_DEEP = 'lists or maps are nested too deeply';

/** @param code The parser's error code, such as 'TAB_AS_INDENT'. */
export function plainYamlMessage(code: string, message: string): string {
  if (/call stack/i.test(message)) return TOO_DEEP;
  if (code === 'MISSING_CHAR' && message.includes('quote')) return 'a quote is not closed: add the closing quote';
  if (code === 'TAG_RESOLVE_FAILED') return `${message}: remove the tag`;
  const plain = MESSAGES[code];
  return plain ?? `${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}
