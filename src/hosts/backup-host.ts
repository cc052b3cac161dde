import { loadConfig } from '../config/config-file.ts';
import type { BackupJob, BackupOutcome } from '../contracts/operation/maintenance.ts';
import { writeBackup } from '../offline/backup.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import { NICENESS, setNiceness } from './lower-priority.ts';

/*
 * Entry file of the process that writes a backup for a download. Copying a database blocks its thread for seconds, so it must not
 * be that of the agent.
 */
setNiceness(NICENESS);
process.umask(0o077);
process.once('message', (job: BackupJob) => {
  void outcomeOf(job).then((outcome) => process.send?.(outcome, () => process.disconnect()));
});

async function outcomeOf({ configFile, file, passphrase, history, nowMs }: BackupJob): Promise<BackupOutcome> {
  try {
    const loaded = await loadConfig(configFile, { checkModels: false });
    const { files } = await writeBackup({ loaded, file, passphrase, history, nowMs });
    return { files: Object.keys(files).length };
  } catch (error) {
    const code = error instanceof OperatingError ? error.code : 'backup-failed';
    return { failure: { code, reason: errorMessage(error) } };
  }
}
