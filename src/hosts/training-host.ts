import { setPriority } from 'node:os';
import process from 'node:process';
import type { TrainingJob, TrainingOutcome } from '../learning/training-job.ts';
import { runTrainingJob } from '../offline/training-job.ts';
import { systemRandom } from '../platform/deps.ts';
import { SystemClock } from '../platform/clock.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import { Health } from '../platform/health.ts';
import { silentLogger } from '../platform/log.ts';
import { Metrics } from '../platform/metrics.ts';
import { setOomScore } from './set-oom-score.ts';

/*
 * Entry file of the process that trains one model from the history and ends. It has the lowest priority, is killed first
 * if memory runs out, and ends with the agent.
 */
const NICENESS = 19;

setOomScore(900);
try {
  setPriority(NICENESS);
} catch {
  // The priority is an optimization; some systems refuse to change it.
}
// Ctrl-C reaches the whole process group; the agent ends its training itself.
process.on('SIGINT', () => undefined);
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// The agent sends one message.
process.once('message', (message) => {
  void train(message as TrainingJob).then((outcome) => process.send?.(outcome, () => process.disconnect()));
});

async function train(job: TrainingJob): Promise<TrainingOutcome> {
  const clock = new SystemClock();
  const log = silentLogger();
  const metrics = new Metrics();
  try {
    const deps = { clock, random: systemRandom, log, metrics, health: new Health({ clock, log, metrics }) };
    return { trained: await runTrainingJob(job, deps) };
  } catch (error) {
    return { failure: { code: errorCode(error), reason: errorMessage(error) } };
  }
}
