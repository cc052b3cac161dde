import { join } from 'node:path';
import {
  type ConfigPath,
  type DocumentProblem,
  type FilePosition,
  isPlainObject,
  PositionedDocument,
  type PositionedData,
  valueAt,
} from '../../platform/positioned-document.ts';
import { readConfigText } from './config-text.ts';

const SECTION = 'outputs';

/** A configuration with the outputs of the file that `outputs: { file: … }` names. */
export class ConfigOutputsFile implements PositionedData {
  readonly value: unknown;
  readonly problems: readonly DocumentProblem[];
  /** File of the outputs; undefined if they are in the configuration itself. */
  readonly file: string | undefined;
  readonly #main: PositionedData;
  readonly #outputs: PositionedDocument | undefined;

  private constructor(
    main: PositionedData,
    read: {
      readonly file?: string;
      readonly outputs?: PositionedDocument;
      readonly problems?: readonly DocumentProblem[];
    } = {},
  ) {
    this.#main = main;
    this.file = read.file;
    this.#outputs = read.outputs;
    this.problems = read.problems ?? [];
    const isRead = read.outputs !== undefined && isPlainObject(main.value);
    this.value = isRead ? { ...main.value, [SECTION]: read.outputs?.value ?? {} } : main.value;
  }

  /** @param directory Folder that the path of the file starts from. */
  static async read(main: PositionedData, directory: string): Promise<ConfigOutputsFile> {
    const section = valueAt(main.value, [SECTION]);
    const name = isPlainObject(section) ? section['file'] : undefined;
    // An output of the name `file` is a map.
    if (typeof name !== 'string') return new ConfigOutputsFile(main);
    const path = [SECTION, 'file'];
    const file = name.startsWith('/') ? name : join(directory, name);
    const failed = (message: string) =>
      new ConfigOutputsFile(main, { file, problems: [{ ...main.position(path, 'value'), path, message }] });
    const others = isPlainObject(section) ? Object.keys(section).filter((key) => key !== 'file') : [];
    if (others.length > 0) return failed(`outputs are either here or in a file: move ${others.join(', ')} there`);
    const read = await readConfigText(file);
    if ('problem' in read) return failed(`${file}: ${read.problem}`);
    const outputs = new PositionedDocument(read.text);
    const problems = outputs.problems.map((problem) => ({ ...problem, file }));
    return new ConfigOutputsFile(main, { file, outputs, problems });
  }

  position(path: ConfigPath, at: 'key' | 'value'): FilePosition {
    if (!this.#isOutside(path) || this.file === undefined) return this.#main.position(path, at);
    return { ...this.#outputs?.position(path.slice(1), at), file: this.file } as FilePosition;
  }

  textAt(path: ConfigPath): string | undefined {
    return this.#isOutside(path) ? this.#outputs?.textAt(path.slice(1)) : this.#main.textAt(path);
  }

  /** Returns true for a path whose value is in the other file. */
  #isOutside([section, ...rest]: ConfigPath): boolean {
    return section === SECTION && this.#outputs !== undefined && rest.length > 0;
  }
}
