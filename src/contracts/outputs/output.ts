import type * as z from 'zod';
import type { OutputFacts } from '../../domain/output/output-demand.ts';
import type { OutputValue } from '../../domain/output/output-schedule.ts';
import type { Deps } from '../../platform/deps.ts';
import type { RecordStore } from '../record-store.ts';

/** Writes the values of one output. One write is in flight at a time. */
export interface OutputWriter extends AsyncDisposable {
  /** Connects early if the writer keeps a connection. Returns immediately. */
  start(): void;
  /**
   * Resolves when the device or broker has accepted the value.
   *
   * @throws {OperatingError} within the deadline of the configuration.
   */
  write(value: OutputValue): Promise<void>;
  /** Returns the present value of the device. @throws {OperatingError} Absent if there is nothing to read. */
  read?(): Promise<OutputValue>;
}

/** An output at work. Disposal writes the safe value. */
export interface Output extends AsyncDisposable {
  start(): void;
}

/** Facts that outputs follow. */
export interface OutputInputs {
  facts(): OutputFacts;
  /** Calls the listener when the facts may have changed. @returns Ends the calls. */
  onChange(listener: () => void): () => void;
}

/** A command that an output gave, for the record and the audit log. */
export type OutputCommand = {
  readonly output: string;
  readonly show: 'on' | 'off' | 'safe';
  readonly value: OutputValue;
  /** Address that is written, for a person. */
  readonly target: string;
  readonly reason: string;
  readonly outcome: 'written' | 'failed' | 'dry-run';
  /** Message of the failure; undefined for other outcomes. */
  readonly failure: string | undefined;
  /** Writes since the command before: repetitions, phases of blinking, counts of a heartbeat. */
  readonly repeated: number;
};

export type OutputContext<Config> = {
  readonly id: string;
  readonly agentId: string;
  readonly config: Config;
  readonly inputs: OutputInputs;
  readonly records: Pick<RecordStore, 'append' | 'lost'>;
  /** Adds the command to the audit log. Never rejects. */
  readonly audit: (command: OutputCommand) => Promise<void>;
  readonly deps: Deps;
};

/** Code of a kind of output. */
export type OutputFactory<Config> = {
  create(context: OutputContext<Config>): Output;
  /** Creates a writer alone, for a test by a person. */
  writer(id: string, config: Config, deps: Deps): OutputWriter;
};

/** A kind of output: one line in config/kinds.ts enrols it. */
export type OutputKind<Config extends { readonly type: string }> = {
  readonly type: Config['type'];
  readonly schema: z.ZodType<Config>;
  /** Loads the code of the output. `andon check` reads configurations without it. */
  load(): Promise<OutputFactory<Config>>;
};
