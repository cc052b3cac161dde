import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

/** Libraries that stay packages next to the bundle: each loads a native library, data or another library (`long`) from its folder. */
export const externalPackages =
  /^(onnxruntime-node|better-sqlite3|serialport|@serialport\/.*|node-opcua-.*|node|long)$/;

/* `node scripts/external-packages.ts` prints the keys of package.json for the libraries that are inside the bundle. */
if (import.meta.main) {
  const { dependencies } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const inside = Object.keys(dependencies).filter((name) => !externalPackages.test(name));
  process.stdout.write(`${inside.map((name) => `dependencies[${name}]`).join(' ')}\n`);
}
