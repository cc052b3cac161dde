import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ModbusRawServer } from './modbus-raw-server.ts';
import { type TestModel, TestModelDirectory } from './onnx-directory.ts';
import { meanModel } from './onnx-models.ts';

/** A model that says what its one value is: abnormal above 1. */
function echoModel(): TestModelDirectory {
  return new TestModelDirectory([
    { name: 'echo', bytes: meanModel(1, 1), steps: 1, tags: 1, golden: [{ window: [0.5], score: 0.5 }] },
  ]);
}

/**
 * A machine with one PLC: `level` (holding 0) is what the test sets, `count` (holding 1) differs at every scan.
 */
export class CrashPlant implements AsyncDisposable {
  readonly plc: ModbusRawServer;
  readonly #models = echoModel();
  #alternating: NodeJS.Timeout | undefined;

  private constructor(plc: ModbusRawServer) {
    this.plc = plc;
  }

  static async start(): Promise<CrashPlant> {
    const plc = await ModbusRawServer.listen();
    plc.faults.exception = () => {
      plc.registers[1] = ((plc.registers[1] ?? 0) + 1) % 65_536;
      return 0;
    };
    return new CrashPlant(plc);
  }

  get modelDirectory(): string {
    return this.#models.path;
  }

  /** Writes one more version of a model, and makes it the active one. */
  addModel(model: TestModel): void {
    this.#models.add(model);
  }

  /** `sources:` and `models:` of a configuration that watches this plant. */
  sections(scanInterval: string) {
    return {
      sources: {
        plc: {
          type: 'modbus',
          url: this.plc.url,
          scanInterval,
          reconnect: { first: '20ms', max: '200ms' },
          // A machine that is short of time answers late; it is not a fault of the device.
          timeout: '30s',
          tags: {
            level: { register: 'holding', address: 0, type: 'uint16' },
            count: { register: 'holding', address: 1, type: 'uint16' },
          },
        },
      },
      models: { directory: this.modelDirectory },
    };
  }

  /** From now on the level is 0 and 5 in turn. */
  alternateLevel(everyMs: number): void {
    this.#alternating = setInterval(() => (this.plc.registers[0] = this.plc.registers[0] === 0 ? 5 : 0), everyMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#alternating);
    this.#models[Symbol.dispose]();
    await this.plc[Symbol.asyncDispose]();
  }
}

/** V8's compiled code from one start of the agent to the next: a hundred of them take half as long. */
export class CompileCache implements Disposable {
  readonly env: { readonly NODE_COMPILE_CACHE: string };
  readonly #path = mkdtempSync(join(tmpdir(), 'andon-compiled-'));

  constructor() {
    this.env = { NODE_COMPILE_CACHE: this.#path };
  }

  [Symbol.dispose](): void {
    rmSync(this.#path, { recursive: true, force: true });
  }
}
