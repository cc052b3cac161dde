import type { UplinkKind } from '../../contracts/uplink.ts';
import { type PostgresUplinkConfig, postgresUplinkSchema } from './postgres-config.ts';

/** Stores records in tables of a PostgreSQL database; the commit acknowledges them. */
export const postgresUplinkKind: UplinkKind<PostgresUplinkConfig> = {
  type: 'postgres',
  schema: postgresUplinkSchema,
  load: async () => ({ create: (await import('./postgres-uplink.ts')).createPostgresUplink }),
};
