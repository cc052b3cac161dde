import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { execPath, getuid } from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { commandFailure } from '../../app/command-errors.ts';
import { loadConfig } from '../../config/config-file.ts';
import { checkProviders, type GpuReport } from '../../gpu/check-providers.ts';
import { gpuWheels, WHEELS_ONNX_RUNTIME, wheelRequirements } from '../../gpu/gpu-wheels.ts';
import { installLibraries } from '../../gpu/install-libraries.ts';
import { reportText } from '../../gpu/report-text.ts';
import { systemDeps } from '../../platform/deps.ts';
import { inferenceHostEntry } from '../../platform/entries.ts';
import { onnxRuntimeFolder } from '../../runtime/session/onnx-runtime-folder.ts';
import { packageFile } from '../../platform/package-files.ts';
import { installedUnit } from '../../service/installed-unit.ts';
import { sandboxArguments } from '../../service/sandbox-run.ts';
import { jsonOption, runs } from '../output/command.ts';
import { type Output, printResult } from '../output/output.ts';
import { table } from '../output/table.ts';
import { writing } from '../output/written-file.ts';

/** Not in the folder of the program, which an upgrade replaces, and not writable by the service. */
const LIBRARIES = '/usr/local/lib/andon-gpu';
const REPORT_BYTES_MAX = 16_000_000;

type InstallOptions = { readonly to: string; readonly json?: boolean };
type CheckOptions = {
  readonly config?: string;
  readonly report?: string;
  readonly sandbox: boolean;
  readonly family: boolean;
  readonly json?: boolean;
};

/** Defines `andon gpu wheels | install | check`. */
export function defineGpu(gpu: Command): void {
  gpu
    .command('wheels')
    .description('lists the wheel files with the CUDA libraries, as requirements of pip')
    .action(runs(wheelsCommand));
  gpu
    .command('install')
    .description(
      'installs the CUDA libraries from wheel files, without a network; links them again after an upgrade of andon',
    )
    .argument('[files...]', 'wheel files, or folders with them')
    .option('--to <folder>', 'folder for the libraries', LIBRARIES)
    .addOption(jsonOption)
    .action(runs(installCommand));
  gpu
    .command('check')
    .description('runs models on every provider, compares them with the CPU, measures them, and tries the fallback')
    .option('-c, --config <file>', 'checks the models of this configuration too')
    .option('--report <file>', 'writes everything to one JSON file')
    .option('--no-sandbox', 'not in the sandbox of the installed service')
    .option('--no-family', 'without the models of each training algorithm, which take about a minute')
    .addOption(jsonOption)
    .action(runs(checkCommand));
}

function wheelsCommand(_options: unknown, output: Output): number {
  output.out(wheelRequirements(gpuWheels));
  return 0;
}

async function installCommand(sources: readonly string[], options: InstallOptions, output: Output): Promise<number> {
  const folder = await installLibraries({
    sources,
    wheels: gpuWheels,
    version: WHEELS_ONNX_RUNTIME,
    target: options.to,
    runtimeFolder: onnxRuntimeFolder(),
    onProgress: (text) => output.err(text),
  });
  printResult(output, options, {
    document: { folder },
    text: `CUDA libraries of ONNX Runtime ${WHEELS_ONNX_RUNTIME} are in ${folder}. Check them: sudo andon gpu check`,
  });
  return 0;
}

/** `andon gpu check`. @returns 1 if a provider fails or differs from the CPU. */
async function checkCommand(options: CheckOptions, output: Output): Promise<number> {
  const unit = options.sandbox ? sandbox() : undefined;
  const report =
    unit === undefined
      ? { sandbox: false, ...(await checkHere(options, output)) }
      : { ...(await checkInside(unit, options, output)), sandbox: true };
  const { report: file } = options;
  if (file !== undefined) await writing(file, () => writeFile(file, `${JSON.stringify(report, undefined, 2)}\n`));
  printResult(output, options, { document: report, text: reportText(report, table) });
  return report.ok ? 0 : 1;
}

async function checkHere({ config, family }: CheckOptions, output: Output): Promise<GpuReport> {
  const bundled = { directory: fileURLToPath(packageFile('models')) };
  return checkProviders({
    models: [bundled, ...(config === undefined ? [] : [(await loadConfig(config)).config.models])],
    family,
    entry: inferenceHostEntry,
    deps: systemDeps(),
    onProgress: (text) => output.err(text),
  });
}

/** Returns the installed unit if this process may start a command in its sandbox. */
function sandbox(): ReturnType<typeof installedUnit> {
  return getuid?.() === 0 && existsSync('/run/systemd/system') ? installedUnit('/') : undefined;
}

/** What blocks the service must block the check: its devices, system calls and memory. */
async function checkInside(
  { effective }: NonNullable<ReturnType<typeof installedUnit>>,
  { config, family }: CheckOptions,
  output: Output,
): Promise<GpuReport> {
  const program = fileURLToPath(packageFile('bin/andon.js'));
  const command = [execPath, program, 'gpu', 'check', '--no-sandbox', '--json'];
  const chosen = [...(config === undefined ? [] : ['--config', config]), ...(family ? [] : ['--no-family'])];
  const { promise, resolve } = Promise.withResolvers<string>();
  const child = execFile(
    'systemd-run',
    sandboxArguments(effective, [...command, ...chosen]),
    { maxBuffer: REPORT_BYTES_MAX },
    // Exit code 1 is a report too.
    (_, stdout) => resolve(stdout),
  );
  child.stderr?.on('data', (text: string) => output.err(text));
  const stdout = await promise;
  try {
    return JSON.parse(stdout) as GpuReport;
  } catch {
    throw commandFailure(
      'gpu-check-failed',
      'The check in the sandbox of andon.service gave no report. Run it without: andon gpu check --no-sandbox',
    );
  }
}
