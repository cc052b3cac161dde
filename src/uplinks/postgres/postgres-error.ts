import { DatabaseError } from 'pg';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import { TlsFileError } from '../../platform/tls-files.ts';
import { SchemaTooNew } from '../../protocols/postgres/migrate.ts';
import { UplinkError, type UplinkErrorCode } from '../uplink-errors.ts';

/** Codes of andon by SQLSTATE, or by its class of two characters. @see https://www.postgresql.org/docs/15/errcodes-appendix.html */
const codes: Readonly<Record<string, UplinkErrorCode>> = {
  '22': 'uplink-partly-refused',
  '23': 'uplink-partly-refused',
  '28': 'uplink-not-admitted',
  '54': 'uplink-partly-refused',
  '53100': 'uplink-database-full',
  '53300': 'uplink-overloaded',
  '3D000': 'uplink-database-unfit',
  '3F000': 'uplink-database-unfit',
  '25006': 'uplink-database-unfit',
  '42': 'uplink-database-unfit',
  '42501': 'uplink-database-denied',
  '57014': 'uplink-timeout',
};

/** Returns the error of an uplink for an error of the connection or of the server. */
export function postgresError(error: unknown): OperatingError {
  if (error instanceof OperatingError) return error;
  const cause = { cause: error };
  const text = errorMessage(error);
  if (error instanceof TlsFileError) return new UplinkError('uplink-tls-file', text, cause);
  if (error instanceof SchemaTooNew) return new UplinkError('uplink-database-unfit', text, cause);
  if (error instanceof DatabaseError) {
    const state = error.code ?? '';
    const code = codes[state] ?? codes[state.slice(0, 2)] ?? 'uplink-receiver-failed';
    return new UplinkError(code, `The database refused: ${text} (SQLSTATE ${state})`, cause);
  }
  if (errorCode(error) === 'ENOSPC') return new UplinkError('uplink-database-full', text, cause);
  return new UplinkError('uplink-unreachable', `No connection to the database: ${text}`, cause);
}
