import type { CsvTable } from '../csv/csv-table.ts';
import { isTopicSafeName, NAME_EXPECTED } from '../config/config-schema.ts';
import { modbusKind } from '../sources/modbus/modbus-kind.ts';
import type { ByteOrder, LongByteOrder, ValueType } from '../sources/modbus/frame/register-decode.ts';

/** Keys of a Modbus tag, as in the configuration. `address` counts from 0, as on the wire. */
export type TagKeys = {
  readonly register: RegisterKind;
  readonly address: number;
  readonly type: ValueType | 'string' | 'bytes';
  readonly count?: number | undefined;
  readonly length?: number | undefined;
  readonly byte?: 'low' | 'high' | undefined;
  readonly bit?: number | undefined;
  readonly byteOrder?: ByteOrder | LongByteOrder | undefined;
  readonly scale?: number | undefined;
  readonly offset?: number | undefined;
  readonly unit?: string | undefined;
  readonly range?: readonly [number, number] | undefined;
  readonly deadband?: number | undefined;
  readonly scanInterval?: string | undefined;
};

export type RegisterKind = 'holding' | 'input' | 'coil' | 'discrete';

/** A construct of a file that is not imported, or not completely. */
export type Finding = {
  /** Line of the file, from 1. */
  readonly line: number;
  readonly name?: string | undefined;
  readonly found: string;
  readonly reason: string;
  readonly remedy: string;
  /** True if the tag is imported without this construct. */
  readonly imported: boolean;
};

/** Adds a finding. @param imported True if the tag is imported without the construct. */
export type Report = (found: string, reason: string, remedy: string, imported?: boolean) => void;

/** A setting that a file leaves open. */
export type OpenSetting = { readonly setting: 'addressBase' | 'byteOrder'; readonly reason: string };

/** Settings of the user for what a file leaves open. */
export type ImportSettings = {
  /** Number of the first register of the device in the file. */
  readonly addressBase?: 0 | 1 | undefined;
  /** True if the addresses of a register list are numbers of a manual: 40001 is the first holding register. */
  readonly manualNumbers?: boolean | undefined;
  /** Byte order of values in several registers. */
  readonly byteOrder?: ByteOrder | undefined;
  /** Header of each column of a CSV file, by key. */
  readonly columns?: ReadonlyMap<string, string> | undefined;
};

export type ImportedSource = {
  /** Id of the source, from the names in the file. */
  readonly id: string;
  /** Keys of the source without its tags. Without `url` if the file does not describe the device. */
  readonly keys: Readonly<Record<string, unknown>>;
  readonly tags: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
};

export type TagImport = {
  readonly sources: readonly ImportedSource[];
  readonly findings: readonly Finding[];
  /** Facts that need no action. */
  readonly notes: readonly string[];
  /** If not empty, the sources are incomplete until the user decides. */
  readonly open: readonly OpenSetting[];
};

type SourceDraft = { readonly keys: Record<string, unknown>; readonly tags: Map<string, Record<string, unknown>> };

/** Collects the tags of a file, and lists everything that is not imported. */
export class ImportDraft {
  readonly #sources = new Map<string, SourceDraft>();
  readonly #findings: Finding[] = [];
  readonly #notes: string[] = [];
  readonly #open = new Map<OpenSetting['setting'], OpenSetting>();
  readonly #lines = new Map<string, number>();

  /** Adds a source. A second one of the same id adds tags only. */
  addSource(id: string, keys: Readonly<Record<string, unknown>> = {}): void {
    if (!this.#sources.has(id)) this.#sources.set(id, { keys: defined(keys), tags: new Map() });
  }

  /** Adds a tag, or a finding if no agent could read it. @param line Line of the tag in the file. */
  addTag(source: string, name: string, keys: TagKeys, line: number): void {
    this.addSource(source);
    const cleaned = tagName(name);
    const first = this.#lines.get(cleaned);
    const problem = !isTopicSafeName(cleaned) ? NAME_EXPECTED : tagProblem(keys, this.#sources.get(source)?.keys ?? {});
    if (first !== undefined) {
      const reason = `the name is also in line ${first}; tag names must be unique`;
      this.addFinding({ line, name, found: cleaned, reason, remedy: 'rename one of them in the other tool' });
    } else if (problem !== undefined) {
      const found = `${keys.register} ${keys.address}, ${keys.type}`;
      this.addFinding({
        line,
        name,
        found,
        reason: problem,
        remedy: 'correct it in the other tool, or add the tag by hand',
      });
    } else {
      this.#lines.set(cleaned, line);
      this.#sources.get(source)?.tags.set(cleaned, ordered(keys));
    }
  }

  addFinding(finding: Omit<Finding, 'imported'> & { readonly imported?: boolean | undefined }): void {
    this.#findings.push({ ...finding, imported: finding.imported ?? false });
  }

  /** Returns a function that adds findings of one line. */
  reporter(line: number, name: string): Report {
    return (found, reason, remedy, imported) => this.addFinding({ line, name, found, reason, remedy, imported });
  }

  /** Adds a finding for each row of a table whose quotation marks are not closed. */
  addBroken({ broken }: CsvTable): void {
    for (const line of broken)
      this.addFinding({ line, found: 'a row', reason: 'a quotation mark is not closed', remedy: 'correct it' });
  }

  addNote(note: string): void {
    this.#notes.push(note);
  }

  /** States that the file leaves a setting open. The first reason is kept. */
  leaveOpen(setting: OpenSetting['setting'], reason: string): void {
    if (!this.#open.has(setting)) this.#open.set(setting, { setting, reason });
  }

  result(): TagImport {
    return {
      sources: [...this.#sources]
        .map(([id, { keys, tags }]) => ({ id, keys, tags }))
        .filter(({ tags }) => tags.size > 0),
      findings: this.#findings.toSorted((a, b) => a.line - b.line),
      notes: this.#notes,
      open: [...this.#open.values()],
    };
  }
}

/** Returns the name of a tag in andon. Levels of a path become levels with dots. */
function tagName(name: string): string {
  return name
    .trim()
    .replaceAll(/\s*\/+\s*/g, '.')
    .replaceAll(/[+#\p{Cc}]/gu, '_')
    .replace(/^[$.]+/, '');
}

/** Returns the id of a source. */
export function sourceId(name: string): string {
  const id = tagName(name)
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}._-]+/gu, '-');
  return id.replaceAll(/^-+|-+$/g, '') || 'device';
}

/** Returns the first problem that the configuration would have with a tag. */
function tagProblem(keys: TagKeys, source: Readonly<Record<string, unknown>>): string | undefined {
  const registerBits = source['registerBits'];
  const config = { type: 'modbus', url: 'tcp://192.0.2.1', registerBits, tags: { tag: defined(keys) } };
  const [issue] = modbusKind.schema.safeParse(config).error?.issues ?? [];
  return issue === undefined ? undefined : `${String(issue.path.at(-1))}: ${issue.message}`;
}

/** Order of the columns in a tag file. */
const columnOrder = [
  'register',
  'address',
  'type',
  'bit',
  'count',
  'length',
  'byte',
  'byteOrder',
  'scale',
  'offset',
  'unit',
  'range',
  'deadband',
  'scanInterval',
] as const satisfies readonly (keyof TagKeys)[];

function ordered(keys: TagKeys): Record<string, unknown> {
  return defined(Object.fromEntries(columnOrder.map((key) => [key, keys[key]])));
}

function defined(keys: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined));
}
