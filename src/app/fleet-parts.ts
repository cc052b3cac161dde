import type { AgentConfig } from '../config/config-schema.ts';
import { alarmState } from '../domain/alarm/alarm.ts';
import { FleetAgent, type BoxFacts, type FleetAgentOptions } from '../fleet/box/fleet-agent.ts';
import type { AlarmCommands } from '../contracts/alarm-commands.ts';
import type { ModelStatus } from '../contracts/inference.ts';
import type { RecordStore } from '../contracts/record-store.ts';
import type { WatchStatuses } from '../contracts/watch-statuses.ts';
import type { Deps } from '../platform/deps.ts';
import { packageVersion } from '../platform/package-files.ts';
import type { OperatorAudit } from '../web/access/operator-audit.ts';
import { Parts } from './parts.ts';

/** Components in a report. */
const COMPONENTS_MAX = 20;

type FleetPartsOptions = Pick<FleetAgentOptions, 'editor' | 'registry' | 'standing'> & {
  readonly config: () => AgentConfig;
  readonly models: () => readonly ModelStatus[];
  readonly board: WatchStatuses;
  readonly alarms: AlarmCommands;
  readonly records: Pick<RecordStore, 'stats'>;
  readonly audit: OperatorAudit;
  readonly deps: Deps;
};

/** Returns the connection to the fleet as a part, of id `fleet`. */
export function fleetParts(options: FleetPartsOptions) {
  const { config, audit, deps } = options;
  return new Parts({
    wanted: ({ fleet }) => ({ fleet }),
    create: (fleet) =>
      new FleetAgent({
        ...options,
        box: config().agent.id,
        config: fleet,
        outboxPath: config().outbox.path,
        probationMs: (model) =>
          Object.values(config().watches).some((watch) => watch.model.name === model)
            ? config().models.rollback.withinMs
            : 0,
        facts: () => boxFacts(options),
        audit: (generation, detail) => void audit.record(undefined, 'fleet', `generation ${generation}`, detail),
        deps,
      }),
  });
}

async function boxFacts(options: FleetPartsOptions): Promise<BoxFacts> {
  const { config, editor, models, board, alarms, records, deps } = options;
  const { version: configuration_sha256 } = await editor.read();
  const drift = new Map<string, number>();
  for (const { model, drift: of } of board.watches())
    for (const value of of.values()) drift.set(model, Math.max(value, drift.get(model) ?? 0));
  const counts: Record<string, number> = {};
  for (const { facts, priority } of alarms.list())
    if (alarmState(facts) !== 'normal') counts[priority] = (counts[priority] ?? 0) + 1;
  return {
    agent_version: packageVersion,
    location: config().agent.location ?? null,
    models: models().map(({ name, version, state }) => ({
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
    disk_hours: (await records.stats()).hoursLeft ?? null,
  };
}
