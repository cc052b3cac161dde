import { type ChildProcess, fork } from 'node:child_process';
import type { TrainingProgress } from '../contracts/models/model-trainings.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import { trainingFailure } from '../training/core/training-errors.ts';
import { childEnvironment } from '../platform/child-environment.ts';
import { childFlags, YOUNG_MB } from '../platform/heap-flags.ts';
import type { TrainedVersion, TrainingJob, TrainingMessage, TrainingOutcome } from './training-job.ts';

/**
 * Trains one model in a child process of low priority, so that monitoring is not delayed.
 *
 * @param entry The process's entry file, `src/hosts/training-host.ts`.
 * @param signal Ends the process; the training then fails.
 * @throws {OperatingError} 'training-…', 'history-…', 'model-not-proven' (reject); 'training-process-lost' (retry).
 */
export async function trainInProcess(
  entry: URL,
  job: TrainingJob,
  signal: AbortSignal,
  onProgress: (progress: TrainingProgress) => void = () => undefined,
): Promise<TrainedVersion> {
  const outcome = await outcomeOf(start(entry, job, signal), onProgress);
  if ('trained' in outcome) return outcome.trained;
  throw new OperatingError(outcome.failure.code, 'reject', outcome.failure.reason);
}

function start(entry: URL, job: TrainingJob, signal: AbortSignal): ChildProcess {
  const child = fork(entry, {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: childEnvironment(),
    signal,
    killSignal: 'SIGKILL',
    execArgv: [...childFlags(YOUNG_MB)],
  });
  child.send(job, () => undefined);
  return child;
}

function outcomeOf(child: ChildProcess, onProgress: (progress: TrainingProgress) => void): Promise<TrainingOutcome> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void =>
      reject(trainingFailure('training-process-lost', `The training process ${reason}`));
    child.on('message', (sent) => {
      // The child is andon's own code.
      const message = sent as TrainingMessage;
      if ('progress' in message) onProgress(message.progress);
      else resolve(message);
    });
    child.on('error', (error) => fail(`could not be started or reached: ${errorMessage(error)}`));
    child.once('exit', (code, killedBy) =>
      fail(killedBy === null ? `ended with code ${code}` : `ended with ${killedBy}`),
    );
  });
}
