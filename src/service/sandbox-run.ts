import type { UnitSettings } from './unit-settings.ts';

/** Settings that are not part of the sandbox: start, end, supervision, folders and secrets of the service. */
const NOT_SANDBOX =
  /^(?:Type|Exec\w+|NotifyAccess|Restart\w*|Watchdog\w+|Timeout\w+|KillMode|OOMPolicy|Description|Documentation|Wants|After|WantedBy|WorkingDirectory|LoadCredential|(?:Runtime|State|Configuration)Directory\w*)$/;

/**
 * Returns the arguments of `systemd-run` that run a command in the sandbox of a unit: with its user, devices, system calls,
 * memory and environment.
 *
 * @param unit The unit with its drop-ins.
 */
export function sandboxArguments(unit: UnitSettings, command: readonly string[]): readonly string[] {
  const properties = [...unit]
    .filter(([key]) => !NOT_SANDBOX.test(key))
    .flatMap(([key, values]) => (values.length === 0 ? [`${key}=`] : values.map((value) => `${key}=${value}`)));
  return [
    '--pipe',
    '--wait',
    '--collect',
    '--quiet',
    ...properties.map((property) => `--property=${property}`),
    ...command,
  ];
}
