import type * as z from 'zod';
import type { TagDefinition, TagNumber, TagPattern } from '../domain/sample/tag.ts';
import type { Deps } from '../platform/deps.ts';
import type { SampleHistory } from './sample-history.ts';
import type { SampleSink } from './sample-sink.ts';
import type { WaveformAnalysis } from './waveforms/waveform-analysis.ts';

/**
 * A live connection to devices or topics.
 *
 * The constructor does no I/O. `start` returns immediately. A missing peer is reported as degraded under `source/<id>` and
 * retried with backoff without end. After disposal the sink receives nothing more, and no socket or timer is left.
 * Disposal twice, or before start, is allowed.
 */
export interface Source extends AsyncDisposable {
  start(): void;
  /**
   * Monotonic time of the last activity of the source's own scheduling (scan started, connection attempted, message
   * received). The watchdog requires that it advances. It does not depend on the peer.
   */
  lastTickMs(): number;
  /**
   * Reads registers or bits over the connection in use, for a person who looks for tags. The read lets waiting scans go first.
   * Absent if the source has no registers.
   *
   * @throws {OperatingError} 'modbus-refused' (reject); 'modbus-browser-busy' and the errors of a connection (retry).
   */
  readRegisters?(block: RegisterBlock): Promise<readonly RegisterReading[]>;
  /**
   * Listens to the broker for a person who looks for tags, over a connection of its own. Publishes nothing. Absent if the source
   * has no topics.
   *
   * @throws {OperatingError} 'mqtt-browser-busy', 'mqtt-browse-failed' (retry).
   */
  browseTopics?(request: TopicBrowse): Promise<TopicListing>;
  /**
   * Reads a node of the server's address space and the nodes below it, over the session in use, for a person who looks for
   * tags. Absent if the source has no address space.
   *
   * @param node Address; undefined for the folder of all objects.
   * @throws {OperatingError} 'opcua-browser-busy', 'opcua-browse-failed' (retry).
   */
  browseNodes?(node: string | undefined): Promise<NodeListing>;
}

export const registerKinds = ['holding', 'input', 'coil', 'discrete'] as const;

export type RegisterBlock = {
  readonly register: (typeof registerKinds)[number];
  /** From 0, as on the wire. */
  readonly address: number;
  readonly count: number;
};

/** A register or bit, with every value that it could be the first register of. */
export type RegisterReading = {
  readonly address: number;
  readonly raw: number;
  readonly interpretations: readonly { readonly type: string; readonly byteOrder: string; readonly value: number }[];
};

/** Request to listen to a broker, for a person who looks for tags. */
export type TopicBrowse = {
  /** Filter of the subscription; undefined for all topics that the kind of source reads. */
  readonly filter: string | undefined;
  /** Counts from the answer to the subscription. */
  readonly forMs: number;
};

/** Messages of that time. */
export type TopicListing = {
  readonly topics: readonly TopicReading[];
  /** False if more was received than a listing holds. */
  readonly isComplete: boolean;
};

/** A topic, or a device of Sparkplug. */
export type TopicReading = {
  readonly topic: string;
  readonly messages: number;
  /** Start of the last payload; undefined if it is not a text. */
  readonly payload: string | undefined;
  readonly values: readonly TopicValue[];
  /** Metrics whose name is not known, because their birth was not received. */
  readonly unnamed: number;
};

/** A value that could become a tag. */
export type TopicValue = {
  /** Name that the tag could have. */
  readonly name: string;
  readonly value: number;
  /** Keys of the tag that reads the value. */
  readonly tag: Readonly<Record<string, string>>;
};

/** A node of an address space, with the nodes below it. */
export type NodeListing = {
  readonly node: NodeReading;
  /** Numbers in the value of the node: each could become a tag. */
  readonly values: readonly {
    /** Part of the value; undefined for the whole. */
    readonly path: string | undefined;
    readonly value: number;
  }[];
  readonly children: readonly NodeReading[];
  /** False if the node has more children than a listing holds. */
  readonly isComplete: boolean;
};

/** An object or variable. An object has no type, value and status. */
export type NodeReading = {
  readonly name: string;
  /** Address with the namespace's URI. */
  readonly node: string;
  readonly isVariable: boolean;
  readonly hasChildren: boolean;
  readonly type: string;
  /** Start of the value as a text. */
  readonly value: string;
  readonly status: string;
  readonly unit: string | undefined;
  readonly range: readonly [low: number, high: number] | undefined;
};

export type SourceContext<Config> = {
  readonly id: string;
  readonly config: Config;
  /** Numbers of the tags that `tags(config)` named. */
  readonly tagNumbers: ReadonlyMap<string, TagNumber>;
  /** Gives a name that one of `patterns(config)` made its place in the tag table, the same at each call. */
  readonly bindTag: BindTag;
  readonly sink: SampleSink;
  /** Folder of the agent's state, for files of the source. It may not exist yet. */
  readonly stateFolder: string;
  readonly history: SourceHistory;
  /** Absent if only tags are read: each waveform is then dropped. */
  readonly waveforms?: WaveformAnalysis;
  readonly deps: Deps;
};

export type BindTag = (pattern: string, name: string) => TagNumber | TagRefusal;

/**
 * Why a name got no place: it can't stand in a topic or URL, another tag has it, or the pattern's places are taken.
 */
export type TagRefusal = 'name-unfit' | 'name-taken' | 'too-many';

/** The box's own history as a source sees it. */
export type SourceHistory = Pick<SampleHistory, 'add'> & {
  /**
   * Resolves when every good sample that this source delivered is on the disk; samples that the history does not keep do not
   * count.
   *
   * @throws {OperatingError} 'samples-not-stored' (retry) if samples were lost since the last call.
   */
  stored(): Promise<void>;
};

/** One line of `andon plan`: a scan class of a unit with its bus time. */
export type ScanPlan = {
  readonly source: string;
  readonly unitId: number;
  readonly scanIntervalMs: number;
  readonly tags: number;
  readonly requests: readonly PlannedRead[];
  /** Estimated time on the wire for one scan. */
  readonly busTimeMs: number;
  /** Change that would let the scan interval be met; undefined if it is met. */
  readonly advice: string | undefined;
  /** Remarks about tags for an operator, such as a missing key. */
  readonly notes: readonly string[];
};

export type PlannedRead = {
  readonly functionCode: number;
  readonly address: number;
  /** Registers, or bits for function codes 1 and 2. */
  readonly count: number;
  readonly tags: readonly string[];
};

/** Code of a kind of source. */
export type SourceFactory<Config> = { create(context: SourceContext<Config>): Source };

/** A kind of source: one line in config/kinds.ts enrols it in the schema, the docs and the contract tests. */
export type SourceKind<Config extends { readonly type: string }> = {
  readonly type: Config['type'];
  readonly schema: z.ZodType<Config>;
  tags(config: Config): readonly TagDefinition[];
  /** Patterns of tags that the source discovers; absent if it discovers none. */
  patterns?(config: Config): readonly TagPattern[];
  /** Returns the scan plans; empty if the source does not poll. */
  plan(id: string, config: Config): readonly ScanPlan[];
  /** Loads the code of the source. `andon check` reads configurations without it. */
  load(): Promise<SourceFactory<Config>>;
};
