import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const built = join(root, 'screen/dist/index.html');

/** Builds the pages if a source is newer, so that the tests test the sources. */
export function setup(): void {
  const sources = readdirSync(join(root, 'screen'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('screen/dist'))
    .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs);
  if (existsSync(built) && statSync(built).mtimeMs > Math.max(...sources)) return;
  execFileSync(process.execPath, [join(root, 'scripts/build-screen.ts')], { stdio: 'inherit' });
}
