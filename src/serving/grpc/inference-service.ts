import { fileURLToPath } from 'node:url';
import { loadSync, type MethodDefinition } from '@grpc/proto-loader';
import { packageFile } from '../../platform/package-files.ts';

/** Path of the protocol's definition, which clients can use too. */
const PROTO_FILE = fileURLToPath(packageFile('docs/open-inference.proto'));

/** Methods of `inference.GRPCInferenceService` by name. 64-bit integers are objects of the library `long`. */
const service = loadSync(PROTO_FILE, { keepCase: true, enums: String, defaults: true, oneofs: true })[
  'inference.GRPCInferenceService'
] as Readonly<Record<string, MethodDefinition<object, object>>>;

/**
 * Returns a method of the service.
 *
 * @throws {Error} The definition has no such method.
 */
export function methodOf(name: string): MethodDefinition<object, object> {
  const method = service[name];
  if (method === undefined) throw new Error(`docs/open-inference.proto has no method ${name}`);
  return method;
}
