import process from 'node:process';
import { readManifest } from '../models/store/manifest-file.ts';
import type { ManifestText } from '../models/store/manifest-process.ts';
import { setOomScore } from './set-oom-score.ts';

/*
 * Entry file of the process that reads one long model.yaml and ends: parsing it would hold up the thread with the
 * sockets, and may take more memory than there is.
 */
setOomScore(800);
// The parent is our own code: it sends one message. Once that is answered, nothing keeps this process.
process.once('message', (message) => {
  const { file, text, expected } = message as ManifestText;
  process.send?.(readManifest(file, text, expected));
});
// Ctrl-C reaches the whole process group; the parent waits for what is being read.
process.on('SIGINT', () => undefined);
