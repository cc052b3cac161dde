/**
 * Builds the web application into `screen/dist`; npm runs it in a checkout (`npm ci`) and before a package is made. Without the
 * development packages (`npm ci --omit=dev`) it reports that, and the agent runs without its pages.
 */
import { join } from 'node:path';

const configFile = join(import.meta.dirname, '../screen/vite.config.ts');

try {
  const { build } = await import('vite');
  await build({ configFile, logLevel: 'warn' });
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
  process.stderr.write('The pages are not built: Vite is not installed. Run npm ci without --omit=dev.\n');
}
