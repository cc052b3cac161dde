#!/usr/bin/env node
// Starts andon from its sources in a checkout and from dist/ in an installed package. If the Node of the machine is older
// than 24, it starts on the one that package.json pins: npm installs the package node-<platform>-<arch> for this machine.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const isCheckout = existsSync(new URL('../src', import.meta.url));
const programFile = (path) => new URL(isCheckout ? `../src/${path}.ts` : `../dist/${path}.js`, import.meta.url);
const entry = programFile('cli/main');
const [major] = process.versions.node.split('.').map(Number);

// V8 lets the young generation of each thread grow to 128 MB before it collects. The limit must be on the command line: set
// later, it applies to new threads but not to the main thread. Long-running commands are started with it.
const HEAP_FLAG = '--max-semi-space-size';
const isDaemon = ['run', 'demo'].includes(process.argv[2] ?? '');
const isLimited = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((flag) => flag.includes(HEAP_FLAG));
const flags = isDaemon && !isLimited ? [`${HEAP_FLAG}=4`, '--import', programFile('hosts/limit-garbage').href] : [];

// glibc keeps freed memory in an arena for each thread, up to eight a core. In an agent of 14 threads half of it was free,
// and more with each minute. glibc reads the limit when the process starts.
const isArenaLimited = !isDaemon || process.env.MALLOC_ARENA_MAX !== undefined;
const env = isArenaLimited ? process.env : { ...process.env, MALLOC_ARENA_MAX: '4' };

if (major >= 24) {
  // Replaces the program in the same process, with its id, parent and standard streams. Windows has no such call.
  if ((flags.length > 0 || !isArenaLimited) && process.platform !== 'win32')
    process.execve(process.execPath, [process.execPath, ...flags, ...process.execArgv, ...process.argv.slice(1)], env);
  await import(entry.href);
} else {
  const args = [...flags, fileURLToPath(entry), ...process.argv.slice(2)];
  const child = spawn(bundledNode(), args, { stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    fail(`could not start the one in node_modules: ${error.message}. Run npm ci.`);
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === null ? 70 : 128);
  });
}

/** Returns the path of Node 24 in node_modules. Ends the process if npm has none for this platform. */
function bundledNode() {
  const name = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const file = process.platform === 'win32' ? 'node.exe' : 'node';
  try {
    return createRequire(import.meta.url).resolve(`node-${name}/bin/${file}`);
  } catch {
    fail(`found ${process.version}, and no package node-${name} in node_modules. Install Node 24.`);
    process.exit();
  }
}

function fail(reason) {
  console.error(`andon needs Node 24 and ${reason}`);
  process.exitCode = 70;
}
