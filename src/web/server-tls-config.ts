import * as z from 'zod';
import { pemSource } from '../platform/tls-files.ts';

/** Section `tls` of an endpoint. */
export const serverTlsSchema = z
  .strictObject({
    cert: pemSource.describe(
      'PEM file with the certificate of this endpoint, followed by those of intermediate authorities',
    ),
    key: pemSource.describe('PEM file with the private key of cert, or a secret that holds its text'),
    clientCa: pemSource
      .optional()
      .describe(
        'PEM file with the authority of client certificates. Every client then needs a certificate, and a login',
      ),
  })
  .describe(
    'TLS of the endpoint, version 1.2 or later. Renewed files apply without a restart. `andon tls init` makes them',
  );
export type ServerTls = z.infer<typeof serverTlsSchema>;
