import type { JSX } from 'preact';
import { SafeSvg } from './safe-svg.tsx';

/** A block of a report. */
export type Block =
  | { readonly kind: 'heading'; readonly level: number; readonly text: string }
  | { readonly kind: 'table'; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }
  | { readonly kind: 'list'; readonly items: readonly string[] }
  | { readonly kind: 'image'; readonly label: string; readonly file: string }
  | { readonly kind: 'code'; readonly text: string }
  | { readonly kind: 'paragraph'; readonly text: string };

type MarkdownProps = { readonly text: string; readonly readFile: (file: string) => Promise<string> };

/**
 * A report in Markdown: headings, tables, lists, plots, code. A package may come from elsewhere, so HTML in it is shown as text.
 */
export function Markdown({ text, readFile }: MarkdownProps): JSX.Element {
  return (
    <div class="markdown">
      {blocksOf(text).map((block, index) => (
        <BlockView key={index} block={block} readFile={readFile} />
      ))}
    </div>
  );
}

/** Returns the blocks of a text. Lines of other syntax become paragraphs. */
export function blocksOf(text: string): readonly Block[] {
  const blocks: Block[] = [];
  const lines = text.split(/\r?\n/);
  while (lines.length > 0) {
    const block = takeBlock(lines);
    if (block !== undefined) blocks.push(block);
  }
  return blocks;
}

/** Takes the lines of the next block; undefined for an empty line. */
function takeBlock(lines: string[]): Block | undefined {
  const first = lines.shift() ?? '';
  if (first.trim() === '') return undefined;
  if (first.startsWith('```')) {
    const code = takeWhile(lines, (line) => !line.startsWith('```'));
    lines.shift();
    return { kind: 'code', text: code.join('\n') };
  }
  const heading = /^(#{1,6}) +(.*)$/.exec(first);
  if (heading !== null) return { kind: 'heading', level: heading[1]?.length ?? 1, text: heading[2] ?? '' };
  const image = /^!\[([^\]]*)\]\(([^)\s]+)\)$/.exec(first.trim());
  if (image !== null) return { kind: 'image', label: image[1] ?? '', file: image[2] ?? '' };
  if (isItem(first)) return { kind: 'list', items: [first, ...takeWhile(lines, isItem)].map((line) => line.slice(2)) };
  if (isRow(first) && isRule(lines[0] ?? '')) {
    lines.shift();
    return { kind: 'table', head: cellsOf(first), rows: takeWhile(lines, isRow).map(cellsOf) };
  }
  const more = takeWhile(lines, (line) => line.trim() !== '' && !isItem(line) && !isRow(line));
  return { kind: 'paragraph', text: [first, ...more].join(' ') };
}

function takeWhile(lines: string[], fits: (line: string) => boolean): string[] {
  const end = lines.findIndex((line) => !fits(line));
  return lines.splice(0, end === -1 ? lines.length : end);
}

const isItem = (line: string): boolean => line.startsWith('- ');
const isRow = (line: string): boolean => line.startsWith('|');
const isRule = (line: string): boolean => /^\|[\s|:-]+$/.test(line) && line.includes('-');

function cellsOf(line: string): readonly string[] {
  return line
    .replace(/^\||\|\s*$/g, '')
    .split('|')
    .map((cell) => cell.trim());
}

function BlockView({ block, readFile }: { readonly block: Block } & Pick<MarkdownProps, 'readFile'>): JSX.Element {
  switch (block.kind) {
    case 'heading':
      return <Heading level={block.level} text={block.text} />;
    case 'table':
      return <Table head={block.head} rows={block.rows} />;
    case 'list':
      return (
        <ul>
          {block.items.map((item, index) => (
            <li key={index}>
              <Inline text={item} />
            </li>
          ))}
        </ul>
      );
    case 'image':
      return <SafeSvg label={block.label} file={block.file} readFile={readFile} />;
    case 'code':
      return <pre>{block.text}</pre>;
    case 'paragraph':
      return (
        <p>
          <Inline text={block.text} />
        </p>
      );
  }
}

/** The headings of the page come before those of the report. */
function Heading({ level, text }: { readonly level: number; readonly text: string }): JSX.Element {
  return level === 1 ? <h3>{text}</h3> : <h4>{text}</h4>;
}

function Table({ head, rows }: Pick<Extract<Block, { kind: 'table' }>, 'head' | 'rows'>): JSX.Element {
  const isUnnamed = head.every((cell) => cell === '');
  return (
    <div class="scroll">
      <table>
        {!isUnnamed && (
          <thead>
            <tr>
              {head.map((cell, index) => (
                <th key={index} scope="col">
                  <Inline text={cell} />
                </th>
              ))}
            </tr>
          </thead>
        )}
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (
                <td key={column}>
                  <Inline text={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Text with bold parts and code. */
function Inline({ text }: { readonly text: string }): JSX.Element {
  const parts = text.split(/(\*\*[^*]+\*\*|`[^`]+`)/);
  return (
    <>
      {parts.map((part, index) => {
        if (/^\*\*[^*]+\*\*$/.test(part)) return <strong key={index}>{part.slice(2, -2)}</strong>;
        if (/^`[^`]+`$/.test(part)) return <code key={index}>{part.slice(1, -1)}</code>;
        return part;
      })}
    </>
  );
}
