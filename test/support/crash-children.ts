import { readdirSync, readFileSync } from 'node:fs';

/** Process ids of the living children of a process (Linux); none if it has ended. */
export function childPids(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
        .split(' ')
        .flatMap((text) => (text.trim() === '' ? [] : [Number(text)])),
    );
  } catch {
    return [];
  }
}

/** Filters the living processes; a zombie is dead. */
export function living(pids: readonly number[]): readonly number[] {
  return pids.filter((pid) => {
    try {
      return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return false;
    }
  });
}

/** Command line of a process; '' if it has ended. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** The inference host among the children of an agent; undefined while there is none. */
export function inferenceHostPid(agentPid: number): number | undefined {
  return inferenceHostPids(agentPid)[0];
}

/** Hosts for watches, then hosts for clients; two of a kind while a new one takes over. */
export function inferenceHostPids(agentPid: number): readonly number[] {
  const server = modelServerPid(agentPid);
  const children = [...childPids(agentPid), ...(server === undefined ? [] : childPids(server))];
  return living(children).filter((pid) => commandLine(pid).includes('inference-host'));
}

/** The model server; undefined while there is none. */
export function modelServerPid(agentPid: number): number | undefined {
  return living(childPids(agentPid)).find((pid) => commandLine(pid).includes('hosts/model-server'));
}
