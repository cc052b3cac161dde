import type * as z from 'zod';
import type { Source } from '../../src/contracts/source.ts';
import type { Deps } from '../../src/platform/deps.ts';
import type { modbusSourceSchema } from '../../src/sources/modbus/plan/modbus-config.ts';
import { modbusKind } from '../../src/sources/modbus/modbus-kind.ts';
import { ModbusSource } from '../../src/sources/modbus/modbus-source.ts';
import { type RecordedScan, RecordingSink } from './modbus-recording-sink.ts';
import { plainSource } from './source-context.ts';
import { testDeps } from './test-deps.ts';

export type ModbusConfigInput = Omit<z.input<typeof modbusSourceSchema>, 'type'>;

/** A Modbus source, named `plc` by default, with a recording sink; numbers of its tags follow the order of the configuration. */
export class ModbusSourceFixture implements AsyncDisposable {
  readonly sink = new RecordingSink();
  readonly deps: Deps;
  readonly source: Source;
  readonly names: readonly string[];

  readonly #id: string;

  constructor(input: ModbusConfigInput, deps: Deps = testDeps(), id = 'plc') {
    this.deps = deps;
    this.#id = id;
    const config = modbusKind.schema.parse({ type: 'modbus', ...input });
    this.names = modbusKind.tags(config).map(({ name }) => name);
    this.source = new ModbusSource({
      id,
      config,
      tagNumbers: new Map(this.names.map((name, number) => [name, number])),
      sink: this.sink,
      ...plainSource,
      deps,
    });
  }

  /** A started source. */
  static start(input: ModbusConfigInput, deps?: Deps, id?: string): ModbusSourceFixture {
    const fixture = new ModbusSourceFixture(input, deps, id);
    fixture.source.start();
    return fixture;
  }

  number(name: string): number {
    return this.names.indexOf(name);
  }

  /** `value` of a good sample, `quality reason` of another. */
  show(scan: RecordedScan): Readonly<Record<string, number | string>> {
    return Object.fromEntries(
      [...scan].map(([tag, { value, quality, reason }]) => [
        this.names[tag] ?? `tag ${tag}`,
        quality === 'good' ? value : `${quality} ${reason}`,
      ]),
    );
  }

  /** The next scan that shows these tags so. */
  async shows(wanted: Readonly<Record<string, number | string>>): Promise<RecordedScan> {
    return this.sink.next((scan) => {
      const shown = this.show(scan);
      return Object.entries(wanted).every(([name, value]) => shown[name] === value);
    });
  }

  get health(): { readonly status: string; readonly reason: string } {
    const found = this.deps.health.components().find(({ name }) => name === `source/${this.#id}`);
    return { status: found?.status ?? 'absent', reason: found?.reason ?? '' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source[Symbol.asyncDispose]();
  }
}
