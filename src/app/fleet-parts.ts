import type { AgentConfig } from '../config/config-schema.ts';
import { alarmState } from '../domain/alarm/alarm.ts';
import { FleetAgent, type BoxFacts, type FleetAgentOptions } from '../fleet/box/fleet-agent.ts';
import type { AlarmCommands } from '../contracts/alarm-commands.ts';
import type { ModelStatus } from '../contracts/inference.ts';
import type { VersionLedger } from '../contracts/rollout-models.ts';
import type { RecordStore } from '../contracts/record-store.ts';
import type { WatchStatuses } from '../contracts/watch-statuses.ts';
import type { Deps } from '../platform/deps.ts';
import { packageVersion } from '../platform/package-files.ts';
import type { OperatorAudit } from '../web/access/operator-audit.ts';
import { Parts } from './parts.ts';

/** Components in a report. */
const COMPONENTS_MAX = 20;

type AgentParts = Pick<FleetAgentOptions, 'editor' | 'registry'> & {
  readonly ledger: VersionLedger;
  readonly ownModels: () => readonly ModelStatus[];
  readonly pipeline: WatchStatuses;
  readonly alarms: AlarmCommands;
  readonly outbox: Pick<RecordStore, 'stats'>;
  readonly audit: OperatorAudit;
  readonly deps: Deps;
};

/** Returns the connection to the fleet as a part, of id `fleet`. @param config Returns the configuration in use. */
export function fleetParts(config: () => AgentConfig, parts: AgentParts) {
  const { editor, registry, ledger, audit, deps } = parts;
  return new Parts({
    wanted: ({ fleet }) => ({ fleet }),
    create: (fleet) =>
      new FleetAgent({
        box: config().agent.id,
        config: fleet,
        outboxPath: config().outbox.path,
        editor,
        registry,
        standing: (model) => ledger.standing(model),
        probationMs: (name) =>
          Object.values(config().watches).some(({ model }) => model.name === name)
            ? config().models.rollback.withinMs
            : 0,
        facts: () => boxFacts(config(), parts),
        audit: (generation, detail) => void audit.record(undefined, 'fleet', `generation ${generation}`, detail),
        deps,
      }),
  });
}

async function boxFacts({ agent }: AgentConfig, parts: AgentParts): Promise<BoxFacts> {
  const { editor, ownModels, pipeline, alarms, outbox, deps } = parts;
  const { version: configuration_sha256 } = await editor.read();
  const drift = new Map<string, number>();
  for (const { model, drift: of } of pipeline.watches())
    for (const value of of.values()) drift.set(model, Math.max(value, drift.get(model) ?? 0));
  const counts: Record<string, number> = {};
  for (const { facts, priority } of alarms.list())
    if (alarmState(facts) !== 'normal') counts[priority] = (counts[priority] ?? 0) + 1;
  return {
    agent_version: packageVersion,
    location: agent.location ?? null,
    models: ownModels().map(({ name, version, state }) => ({
      name,
      active: state === 'absent' ? null : version,
      drift: drift.get(name) ?? null,
    })),
    configuration_sha256,
    health: {
      status: deps.health.overall(),
      components: deps.health
        .components()
        .filter(({ status }) => status !== 'ok')
        .slice(0, COMPONENTS_MAX)
        .map(({ name, status, reason }) => ({ name, status, reason })),
    },
    alarms: counts,
    disk_hours: (await outbox.stats()).hoursLeft ?? null,
  };
}
