/*
 * Names on the NATS server that boxes and the fleet service share.
 *
 * A box reads its own desired state, writes its own reported state and reads files. It needs no other permission.
 */

/** Key-value bucket: the desired state of each box, by its name. */
export const DESIRED_BUCKET = 'andon-desired';
/** Key-value bucket: the reported state of each box, by its name. */
export const REPORTED_BUCKET = 'andon-reported';
/** Object store: packages of models and texts of configurations, by their SHA-256. */
export const FILES_BUCKET = 'andon-files';
/** Largest file in the object store. Larger packages come over HTTPS. */
export const FILE_BYTES_MAX = 200e6;
/** Stream with the records of all boxes. */
const RECORDS_STREAM = 'ANDON';

/** Names of boxes are keys of a bucket and tokens of subjects. */
export const BOX_NAME = /^[A-Za-z0-9_-]{1,64}$/;

export function desiredStream(): string {
  return `KV_${DESIRED_BUCKET}`;
}

/** Subject of the value of a key in a bucket. */
export function bucketSubject(bucket: string, box: string): string {
  return `$KV.${bucket}.${box}`;
}

/** Subject on which a box is told that its desired state changed. */
export function nudgeSubject(box: string): string {
  return `andon.v1.${box}.nudge`;
}

/** Prefix of the subjects of answers to a box. With one of its own, a box cannot read answers to others. */
export function inboxPrefix(box: string): string {
  return `_INBOX.${box}`;
}

/** Subjects that a box may publish on and subscribe to; nothing else. */
export function boxPermissions(box: string): {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
} {
  const files = `OBJ_${FILES_BUCKET}`;
  return {
    publish: [
      `andon.v1.${box}.>`,
      bucketSubject(REPORTED_BUCKET, box),
      `$JS.API.DIRECT.GET.${desiredStream()}.${bucketSubject(DESIRED_BUCKET, box)}`,
      `$JS.API.STREAM.INFO.${RECORDS_STREAM}`,
      `$JS.API.DIRECT.GET.${RECORDS_STREAM}.andon.v1.${box}.>`,
      `$JS.API.STREAM.MSG.GET.${files}`,
      `$JS.API.CONSUMER.CREATE.${files}.>`,
      `$JS.API.CONSUMER.DELETE.${files}.>`,
      `$JS.API.CONSUMER.INFO.${files}.>`,
      `$JS.FC.${files}.>`,
    ],
    subscribe: [`${inboxPrefix(box)}.>`, nudgeSubject(box)],
  };
}
