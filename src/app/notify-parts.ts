import { NotifyFactories, type NotifyConfig } from '../config/kinds.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import type { UplinkRecords } from '../contracts/record-store.ts';
import type { Notifier, NotifierOptions } from '../notify/notifier.ts';
import type { Deps } from '../platform/deps.ts';
import { invariant } from '../platform/errors.ts';
import { channelJournal } from './channel-journal.ts';
import { type Part, Parts } from './parts.ts';

/** Returns the channels of notifications as parts, and loads their code. */
export function notifyParts(options: {
  readonly agentId: string;
  readonly outboxPath: string;
  readonly records: UplinkRecords;
  readonly deps: Deps;
}) {
  const { agentId, outboxPath, records, deps } = options;
  const factories = new NotifyFactories();
  // Loaded with the first channel: most agents have none.
  let create: ((of: NotifierOptions) => Notifier) | undefined;
  const channels = new Parts({
    section: 'notify',
    wanted: ({ notify }) => notify,
    create: (config: NotifyConfig, id) => {
      invariant(create !== undefined, 'The code of channels is loaded before they are created');
      return create({
        id,
        agentId,
        config,
        records,
        journal: channelJournal(outboxPath, id, deps.log),
        transport: factories.transport(config, deps),
        deps,
      });
    },
  });
  const none = new Parts({
    wanted: ({ notify }) => ({ notify: Object.keys(notify).length === 0 ? true : undefined }),
    create: (): Part => noChannel(deps),
  });
  const load = async ({ notify }: AgentConfig): Promise<void> => {
    if (Object.keys(notify).length === 0) return;
    const { Notifier: NotifierClass } = await import('../notify/notifier.ts');
    create = (of) => new NotifierClass(of);
    await factories.load(notify);
  };
  return { parts: [channels, none] as const, load };
}

/** Reports that notifications have no channel. It is not a fault: the page and subscribers have every alarm. */
function noChannel({ health }: Deps): Part {
  const component = health.component('notify');
  return {
    start: () =>
      component.report(
        'ok',
        'no channel is configured (notify): alarms reach the page and subscribers only',
        'no-channel',
      ),
    [Symbol.dispose]: () => component.remove(),
  };
}
