import process from 'node:process';
import { readManifest } from '../models/store/manifest-file.ts';
import type { ManifestText } from '../models/store/manifest-process.ts';
import { setOomScore } from './set-oom-score.ts';

/*
 * Entry file of the process that reads one long model.yaml and ends: parsing it would block the thread with the sockets, and may
 * need more memory than is available.
 */
setOomScore(800);
// The parent sends one message. After the answer nothing keeps this process alive.
process.once('message', (message) => {
  const { file, text, expected } = message as ManifestText;
  process.send?.(readManifest(file, text, expected));
});
// Ctrl-C reaches the whole process group; the parent waits for the result.
process.on('SIGINT', () => undefined);
