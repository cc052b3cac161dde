import { resolve } from 'node:path';
import type { Backup, BackupJob, Maintenance, RewindStart, Rewound } from '../contracts/operation/maintenance.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import type { OutboxReaders } from '../outbox/outbox-readers.ts';
import type { Clock } from '../platform/clock.ts';
import { environmentWithSecrets } from '../platform/child-environment.ts';
import { backupHostEntry } from '../platform/entries.ts';
import type { RecentLog } from '../platform/log.ts';
import { BackupProcess } from './backup-process.ts';
import type { Part, Parts } from './parts.ts';

/** Runs changes of the agent's parts one after the other. */
class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<Result>(act: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(act);
    this.#last = done.catch(() => undefined);
    return done;
  }
}

export type AgentMaintenanceOptions<C, P extends Part> = {
  /** Path of the configuration. */
  readonly file: string;
  /** The configuration in use. */
  readonly config: () => AgentConfig;
  readonly uplinks: Parts<C, P>;
  readonly outbox: { readonly readers: Pick<OutboxReaders, 'rewind'> };
  readonly deps: { readonly clock: Clock; readonly recentLog: RecentLog };
};

/** The acts of maintenance on a running agent. */
export class AgentMaintenance<C, P extends Part> implements Maintenance, Disposable {
  /** Changes of the parts of the agent, those of a reload, too. */
  readonly turns = new Turns();
  readonly #options: AgentMaintenanceOptions<C, P>;
  readonly #backups: BackupProcess;

  constructor(options: AgentMaintenanceOptions<C, P>) {
    const { file, config } = options;
    const { agent, outbox } = config();
    this.#options = options;
    this.#backups = new BackupProcess({
      entry: backupHostEntry,
      env: () => environmentWithSecrets(config(), []),
      configFile: resolve(file),
      agentId: agent.id,
      outboxPath: outbox.path,
    });
  }

  /** Ends a backup that is being written. */
  [Symbol.dispose](): void {
    this.#backups[Symbol.dispose]();
  }

  recentLog(): readonly string[] {
    return this.#options.deps.recentLog.lines();
  }

  backup(options: Pick<BackupJob, 'passphrase' | 'history'>): Promise<Backup> {
    return this.#backups.write({ ...options, nowMs: this.#options.deps.clock.nowMs() });
  }

  rewind(uplink: string, from: RewindStart): Promise<Rewound> {
    const { uplinks, outbox, config } = this.#options;
    return this.turns.take(async () => {
      // An uplink has records in flight, and would move its position when they are acknowledged.
      await uplinks.pause(uplink);
      try {
        return await outbox.readers.rewind(uplink, from);
      } finally {
        uplinks.create(config());
        await uplinks.start();
      }
    });
  }
}
