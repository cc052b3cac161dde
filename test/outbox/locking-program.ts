import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';

/*
 * Another program, a real process, holds a write transaction on a database, as DB Browser or a backup script does.
 * `end` commits it.
 */
export async function lockedByAnotherProgram(path: string) {
  const code = `
    const Database = require('better-sqlite3');
    const database = new Database(process.argv[1]);
    database.exec('BEGIN IMMEDIATE');
    console.log('locked');
    process.stdin.once('data', () => database.close());`;
  const child = spawn(process.execPath, ['-e', code, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return {
    pid: child.pid,
    end: async () => {
      child.stdin.end('end\n');
      await once(child, 'exit');
    },
  };
}
