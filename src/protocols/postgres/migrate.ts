import type { ClientBase } from 'pg';
import { migrations, quoted, SCHEMA_VERSION } from './record-schema.ts';

/** The schema of the database is of a later version that this program cannot write. */
export class SchemaTooNew extends Error {
  override readonly name = 'SchemaTooNew';
}

/** Key of the advisory lock of all changes of the schema: the letters 'andon'. */
export const SCHEMA_LOCK = 0x61_6e_64_6f_6e;

/**
 * Creates the tables, or brings them to the version of this program. A lock of the database makes programs that start at the
 * same time take turns. Requires no permission if nothing is to be changed.
 *
 * @throws {SchemaTooNew} A later version changed the tables so that this program cannot write them.
 */
export async function migrate(client: ClientBase, schema: string): Promise<void> {
  if ((await storedVersion(client, schema)) >= SCHEMA_VERSION) return;
  await client.query('BEGIN');
  try {
    await client.query('SET LOCAL statement_timeout = 0');
    await client.query('SELECT pg_advisory_xact_lock($1)', [SCHEMA_LOCK]);
    const before = await storedVersion(client, schema);
    const s = quoted(schema);
    if (before === 0) {
      await client.query(`CREATE SCHEMA IF NOT EXISTS ${s}`);
      await client.query(
        `CREATE TABLE ${s}.schema_versions (version integer PRIMARY KEY, writable_from integer NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
      );
    }
    for (const { version, writableFrom, sql } of migrations) {
      if (version <= before) continue;
      await client.query(sql(s));
      await client.query(`INSERT INTO ${s}.schema_versions (version, writable_from) VALUES ($1, $2)`, [
        version,
        writableFrom,
      ]);
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** @returns 0 if there are no tables yet. */
async function storedVersion(client: ClientBase, schema: string): Promise<number> {
  const s = quoted(schema);
  // A missing permission for the schema would look like a missing table.
  const found = await client.query<{ readonly exists: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'schema_versions') AS exists`,
    [schema],
  );
  if (found.rows[0]?.exists !== true) return 0;
  const { rows } = await client.query<{ readonly version: number; readonly writable_from: number }>(
    `SELECT version, writable_from FROM ${s}.schema_versions ORDER BY version DESC LIMIT 1`,
  );
  const { version = 0, writable_from: writableFrom = 0 } = rows[0] ?? {};
  if (writableFrom > SCHEMA_VERSION)
    throw new SchemaTooNew(
      `The tables in the schema ${schema} have version ${version}, which requires a program that writes version ${writableFrom} or later. This one writes version ${SCHEMA_VERSION}. Update andon`,
    );
  return version;
}
