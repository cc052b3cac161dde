import type { AlarmCommands } from '../contracts/alarm-commands.ts';
import type { LiveEvents } from '../contracts/live-events.ts';
import type { RolloutStatuses } from '../contracts/rollout-statuses.ts';
import { registerAlarmRoutes } from './alarm-routes.ts';
import { registerDashboard } from './dashboard-routes.ts';
import { registerEventStream } from '../web/event-stream.ts';
import type { AgentIdentity } from '../web/health-routes.ts';
import { registerHealthRoutes } from '../web/health-routes.ts';
import type { Routes } from '../web/http-app.ts';
import type { ModelRegistryRoutesOptions } from './model-registry-routes.ts';
import { registerModelRegistryRoutes } from './model-registry-routes.ts';
import { registerRolloutRoutes } from './rollout-routes.ts';
import { TurnBudget } from '../web/turn-budget.ts';
import type { WatchRoutesOptions } from './watch-routes.ts';
import { registerWatchRoutes } from './watch-routes.ts';

export type AgentRoutesOptions = WatchRoutesOptions & {
  readonly identity: AgentIdentity;
  readonly alarms: AlarmCommands;
  readonly rollouts: RolloutStatuses;
  readonly events: LiveEvents;
  /** Left out where the models cannot be managed. */
  readonly modelRegistry?: Omit<ModelRegistryRoutesOptions, 'adminToken'>;
};

/** Health, metrics, alarms, watches, live events, management of models and the dashboard: all but the models as a service. */
export function agentRoutes(options: AgentRoutesOptions): Routes {
  const { identity, alarms, rollouts, events, modelRegistry, deps } = options;
  return async (app, adminToken) => {
    new TurnBudget(deps).limit(app);
    registerHealthRoutes(app, identity, deps);
    registerAlarmRoutes(app, alarms, deps);
    registerWatchRoutes(app, options);
    registerRolloutRoutes(app, rollouts);
    registerDashboard(app);
    registerEventStream(app, events, deps);
    app.get('/api/v1/openapi.json', { schema: { hide: true } }, () => app.swagger());
    if (modelRegistry !== undefined) await registerModelRegistryRoutes(app, { ...modelRegistry, adminToken });
  };
}
