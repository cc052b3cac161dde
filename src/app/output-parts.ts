import { type OutputConfig, OutputFactories } from '../config/kinds.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import type { RecordStore } from '../contracts/record-store.ts';
import type { Deps } from '../platform/deps.ts';
import type { OperatorAudit } from '../web/access/operator-audit.ts';
import { type OutputFactParts, outputInputs } from './output-inputs.ts';
import { outputSettings } from './output-settings.ts';
import { Parts } from './parts.ts';

/** Returns the outputs as parts, and loads their code. */
export function outputParts(
  options: Omit<OutputFactParts, 'health'> & {
    readonly agentId: string;
    readonly records: RecordStore;
    readonly audit: OperatorAudit;
    readonly deps: Deps;
  },
) {
  const { agentId, records, audit, deps } = options;
  const factories = new OutputFactories();
  const inputs = outputInputs({ ...options, health: deps.health });
  const parts = new Parts({
    section: 'outputs',
    wanted: outputSettings,
    create: (config: OutputConfig, id) =>
      factories.create({
        id,
        agentId,
        config,
        inputs,
        records,
        audit: (command) => audit.record(undefined, 'output', id, { ...command }),
        deps,
      }),
  });
  return { parts, load: ({ outputs }: AgentConfig) => factories.load(outputs) };
}
