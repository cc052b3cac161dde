import { type CheckContext, error, type Finding } from './config-finding.ts';
import { alarmProblem } from './config-output-checks.ts';
import { SECRET_IN_CLEAR } from './config-messages.ts';

/** Services whose URL is the secret: who knows it can post. */
const SECRET_URL =
  /^https:\/\/(hooks\.slack\.com\/|api\.telegram\.org\/bot|[^/]*\.webhook\.office\.com\/|[^/]*\.logic\.azure\.com\b|[^/]*\.api\.powerplatform\.com\b|discord(app)?\.com\/api\/webhooks\/)/i;
/** Parameters whose value is a credential. */
const SECRET_NAME = /token|secret|password|key/i;

/** Checks the channels of notifications: the alarms that they name exist, and secrets are references. */
export function notifyFindings({ config, declaredNames }: CheckContext): readonly Finding[] {
  const watches = config.watches === undefined ? undefined : Object.keys(config.watches);
  const isUnknown = (name: string) => watches !== undefined && !watches.includes(name);
  return Object.entries(config.notify ?? {}).flatMap(([id, channel]) => {
    const at = (...path: (string | number)[]) => ['notify', id, ...path];
    return [
      ...channel.on.watches.flatMap((name, index) =>
        isUnknown(name) ? [error(at('on', 'watches', index), `there is no watch '${name}'`)] : [],
      ),
      ...channel.on.alarms.flatMap((alarm, index) => {
        const problem = alarmProblem(alarm, isUnknown, declaredNames);
        return problem === undefined ? [] : [error(at('on', 'alarms', index), problem)];
      }),
      ...(channel.type === 'webhook' && typeof channel.url === 'string' && SECRET_URL.test(channel.url)
        ? [error(at('url'), SECRET_IN_CLEAR)]
        : []),
      ...(channel.type === 'webhook'
        ? Object.entries(channel.parameters).flatMap(([name, value]) =>
            typeof value === 'string' && SECRET_NAME.test(name) ? [error(at('parameters', name), SECRET_IN_CLEAR)] : [],
          )
        : []),
      ...(channel.retry.firstMs > channel.retry.maxMs
        ? [error(at('retry', 'max'), 'must not be less than first')]
        : []),
    ];
  });
}
