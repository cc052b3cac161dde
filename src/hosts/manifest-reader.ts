import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { readManifest } from '../inference/manifest-file.ts';
import type { ManifestText } from '../inference/manifest-process.ts';

/*
 * Entry file of the process that reads one long model.yaml and ends: parsing it would hold up the thread with the
 * sockets, and may take more memory than there is.
 */
preferAsVictim();
// The parent is our own code: it sends one message. Once that is answered, nothing keeps this process.
process.once('message', (message) => {
  const { file, text, expected } = message as ManifestText;
  process.send?.(readManifest(file, text, expected));
});
// Ctrl-C reaches the whole process group; the parent waits for what is being read.
process.on('SIGINT', () => undefined);

/** When memory runs out, Linux should take this process, and not the agent that watches the machines. */
function preferAsVictim(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '800');
  } catch {
    // Another system, or a /proc that is not ours to write: it works without.
  }
}
