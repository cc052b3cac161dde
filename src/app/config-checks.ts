import type { ConfigPath } from './config-document.ts';
import type { AgentConfig } from './config-schema.ts';

/** Something that no single section can see. */
export type Finding = {
  readonly severity: 'error' | 'warning';
  readonly path: ConfigPath;
  readonly at: 'key' | 'value';
  readonly message: string;
};

export async function checkConfig(_config: Partial<AgentConfig>, _file: unknown): Promise<readonly Finding[]> {
  return [];
}
