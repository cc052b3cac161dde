import { formatDuration } from '../../domain/duration.ts';

/** The part of a stream's configuration that matters to the uplink. */
export type StreamFacts = {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly storage: string;
  readonly num_replicas: number;
  readonly duplicate_window: number;
  readonly max_msg_size: number;
  readonly sealed: boolean;
  readonly no_ack?: boolean;
};

export type StreamNeeds = {
  /** Subjects that the uplink publishes on. */
  readonly subjects: readonly string[];
  readonly durability: 'synced' | 'replicated' | 'none';
  /** Time after which a batch that was not acknowledged has been sent again. */
  readonly repeatMs: number;
};

/** Bytes of the headers of a message, which count as part of it. */
export const HEADER_BYTES_MAX = 1024;
/** A smaller limit would not hold one verdict. */
const MESSAGE_BYTES_MIN = 4096;
const REPLICAS_MIN = 3;
const NANOSECONDS = 1e6;

/** Returns why a stream cannot be used, and the setting to change; undefined if it can. */
export function streamProblem(facts: StreamFacts, { subjects, durability, repeatMs }: StreamNeeds): string | undefined {
  const stream = `The stream ${facts.name}`;
  const missing = subjects.find((subject) => !facts.subjects.some((pattern) => covers(pattern, subject)));
  if (missing !== undefined)
    return `${stream} does not store the subject ${missing}, but ${facts.subjects.join(', ') || 'none'}. Add it to its subjects`;
  if (facts.sealed) return `${stream} is sealed and stores no further messages. Set another stream`;
  if (facts.no_ack === true) return `${stream} sends no acknowledgements (no_ack). Set no_ack: false`;
  if (durability === 'synced' && facts.storage !== 'file')
    return `${stream} has ${facts.storage} storage, but durability: synced requires file storage`;
  if (durability === 'replicated' && facts.num_replicas < REPLICAS_MIN)
    return `${stream} has ${facts.num_replicas} ${facts.num_replicas === 1 ? 'replica' : 'replicas'}, but durability: replicated requires ${REPLICAS_MIN}`;
  if (facts.duplicate_window < repeatMs * NANOSECONDS)
    return `The duplicate window of ${facts.name} is ${formatDuration(Math.max(1, Math.round(facts.duplicate_window / NANOSECONDS)))}, but a batch may be repeated after ${formatDuration(repeatMs)} (publishTimeout + retry.max). Raise duplicate_window`;
  if (facts.max_msg_size > 0 && facts.max_msg_size < MESSAGE_BYTES_MIN)
    return `${stream} stores messages of at most ${facts.max_msg_size} bytes (max_msg_size), but a batch requires ${MESSAGE_BYTES_MIN}`;
  return undefined;
}

/** Returns true if a pattern with the wildcards * and > covers a subject. */
function covers(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const tokens = subject.split('.');
  const rest = wanted.indexOf('>');
  if (rest === -1 ? wanted.length !== tokens.length : tokens.length <= rest) return false;
  return wanted.slice(0, rest === -1 ? undefined : rest).every((token, at) => token === '*' || token === tokens[at]);
}
