import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Deps } from '../../src/platform/deps.ts';
import { opcuaKind } from '../../src/sources/opcua/opcua-kind.ts';
import { OpcuaSource } from '../../src/sources/opcua/opcua-source.ts';
import { SourceHarness } from './source-harness.ts';
import { testDeps } from './test-deps.ts';

/** Address of a node of the test server. */
export const lineNode = (name: string, more: Readonly<Record<string, unknown>> = {}) => ({
  node: `nsu=urn:acme:line;s=Line.${name}`,
  ...more,
});

/** A folder for one test. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'andon-opcua-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A started OPC UA source. Without `security`, the connection has none. */
export function opcuaSource(url: string, stateFolder: string, settings: Readonly<Record<string, unknown>>) {
  const config = opcuaKind.schema.parse({
    type: 'opcua',
    url,
    security: { policy: 'None' },
    publishingInterval: '200ms',
    reconnect: { first: '50ms', max: '500ms' },
    ...settings,
  });
  const deps: Deps = testDeps();
  const harness = new SourceHarness(Object.keys(config.tags));
  const { tagNumbers, bindTag, sink, history } = harness;
  const source = new OpcuaSource({ id: 'plc', config, tagNumbers, bindTag, sink, history, stateFolder, deps });
  source.start();
  const health = () => deps.health.components().find(({ name }) => name === 'source/plc');
  return { source, harness, deps, health };
}
