import type { Metadata } from '@grpc/grpc-js';
import type { CallOrigin } from '../../web/access/access-control.ts';
import type { Permission } from '../../web/access/roles.ts';

/** What a call of each method may do. Load balancers check health without a secret. */
const permissionOfMethod = {
  ServerLive: 'open',
  ServerReady: 'open',
  ServerMetadata: 'view',
  ModelReady: 'view',
  ModelMetadata: 'view',
  ModelConfig: 'view',
  ModelStatistics: 'view',
  ModelInfer: 'infer',
  ModelStreamInfer: 'infer',
  RepositoryIndex: 'models',
  RepositoryModelLoad: 'models',
  RepositoryModelUnload: 'models',
} as const satisfies Readonly<Record<string, Permission | 'open'>>;

export type MethodName = keyof typeof permissionOfMethod;

export const methodNames = Object.keys(permissionOfMethod) as readonly MethodName[];

export function permissionOf(method: string): Permission | 'open' {
  return Object.hasOwn(permissionOfMethod, method) ? permissionOfMethod[method as MethodName] : 'models';
}

/** Returns the name of a method. @param path `/package.Service/Method`. */
export function methodName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Returns what decides who sends a call. */
export function callOrigin(
  metadata: Metadata,
  call: { getConnectionInfo(): { readonly remoteAddress?: string | undefined } },
): CallOrigin {
  const authorization = metadata.get('authorization')[0];
  return {
    authorization: typeof authorization === 'string' ? authorization : undefined,
    headers: Object.keys(metadata.getMap()),
    address: call.getConnectionInfo().remoteAddress ?? '',
  };
}
