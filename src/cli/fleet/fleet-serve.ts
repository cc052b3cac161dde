import { mkdir } from 'node:fs/promises';
import { fleetEndpoint } from '../../fleet/service/fleet-endpoint.ts';
import { FleetService } from '../../fleet/service/fleet-service.ts';
import { fleetTokenPath } from '../../fleet/service/fleet-token.ts';
import { loadFleetService, readFleetKeys } from '../../fleet/service/load-fleet-service.ts';
import { SystemClock } from '../../platform/clock.ts';
import { Health } from '../../platform/health.ts';
import { createLogger, RecentLog } from '../../platform/log.ts';
import { Metrics } from '../../platform/metrics.ts';
import { auditConfigSchema } from '../../registry/audit/audit-key.ts';
import { LocalToken } from '../../web/access/local-token.ts';
import { OperatorAudit } from '../../web/access/operator-audit.ts';

type ServeOptions = { readonly config: string };

/** `andon fleet serve`: runs until SIGTERM or SIGINT. @returns 0 */
export async function fleetServeCommand({ config: file }: ServeOptions): Promise<number> {
  process.umask(0o077);
  const config = await loadFleetService(file);
  const keys = await readFleetKeys(config.keys);
  await mkdir(config.data, { recursive: true });
  const [clock, metrics] = [new SystemClock(), new Metrics()];
  const { log, flush } = createLogger({ recent: new RecentLog(), level: 'info', fd: 1, onDrop: () => undefined });
  const deps = { clock, random: Math.random, log, metrics, health: new Health({ clock, log, metrics }) };
  const ended = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
  {
    await using stack = new AsyncDisposableStack();
    const audit = stack.use(new OperatorAudit(fleetTokenPath(config.data), auditConfigSchema.parse({}), deps));
    const service = stack.use(await FleetService.open(config, keys, deps));
    const token = new LocalToken(fleetTokenPath(config.data), log);
    await token.write();
    const onListening = (url: string) => log.info({ url }, 'The fleet service listens.');
    const endpoint = stack.use(
      fleetEndpoint({ config: config.http, service, audit, localToken: token.secret, onListening, deps }),
    );
    await endpoint.start();
    log.info({ reason: await ended }, 'Stopping.');
  }
  await flush();
  return 0;
}
