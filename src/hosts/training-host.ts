import process from 'node:process';
import type { TrainingJob, TrainingMessage, TrainingOutcome } from '../learning/training-job.ts';
import { runTrainingJob } from '../offline/training-job.ts';
import { systemDeps } from '../platform/deps.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import { setNiceness } from './lower-priority.ts';
import { setOomScore } from './set-oom-score.ts';

/*
 * Entry file of the process that trains one model from the history and ends. It has the lowest priority, is killed first
 * if memory runs out, and ends with the agent.
 */
const NICENESS = 19;

setOomScore(900);
setNiceness(NICENESS);
// Ctrl-C reaches the whole process group; the agent ends its training itself.
process.on('SIGINT', () => undefined);
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// The agent sends one message.
process.once('message', (message) => {
  void train(message as TrainingJob).then((outcome) => process.send?.(outcome, () => process.disconnect()));
});

async function train(job: TrainingJob): Promise<TrainingOutcome> {
  try {
    const send = (message: TrainingMessage) => void process.send?.(message);
    return { trained: await runTrainingJob(job, systemDeps(), (progress) => send({ progress })) };
  } catch (error) {
    return { failure: { code: errorCode(error), reason: errorMessage(error) } };
  }
}
