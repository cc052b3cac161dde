import type { KV, KvEntry } from '@nats-io/kv';

/** Returns the present values of a bucket. */
export async function bucketValues(bucket: KV): Promise<readonly { readonly key: string; readonly json: unknown }[]> {
  const entries = new Map<string, KvEntry>();
  // Oldest first, so the last one of a key counts.
  for await (const entry of await bucket.history()) entries.set(entry.key, entry);
  return [...entries.values()]
    .filter(({ operation }) => operation === 'PUT')
    .map((entry) => ({ key: entry.key, json: entry.json() }));
}
