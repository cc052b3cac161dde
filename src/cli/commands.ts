import type { Command } from 'commander';

/** Describes the options of all commands, so it needs them. */
const COMPLETION = 'completion';

type Entry = readonly [name: string, description: string, load: () => Promise<(command: Command) => void>];

/** Commands of `andon`, in the order of the help. */
const entries: readonly Entry[] = [
  [
    'demo',
    'the main job with nothing else installed: a simulated plant, a broker, and the agent',
    async () => (await import('./demo/demo-command.ts')).defineDemo,
  ],
  [
    'run',
    'the daemon; stops on SIGTERM, reads its configuration again on SIGHUP',
    async () => (await import('./run-command.ts')).defineRun,
  ],
  [
    'check',
    'every problem of a configuration at once, with line and suggestion',
    async () => (await import('./setup/check-command.ts')).defineCheck,
  ],
  [
    'plan',
    'what would run: requests, bus time against the scan interval, windows, models',
    async () => (await import('./plan-command.ts')).definePlan,
  ],
  [
    'simulate',
    'replays a CSV as a live Modbus device and/or MQTT publisher',
    async () => (await import('./demo/simulate-command.ts')).defineSimulate,
  ],
  [
    'probe',
    'reads a block and shows what it may mean, in the types and byte orders of vendors; never writes',
    async () => (await import('./probe-command.ts')).defineProbe,
  ],
  [
    'train',
    'fits a model on the box, writes the next version with its assessment; activates nothing',
    async () => (await import('./training/training-commands.ts')).defineTrain,
  ],
  [
    'evaluate',
    'backtest of a model on recorded data, through the same code as live',
    async () => (await import('./training/training-commands.ts')).defineEvaluate,
  ],
  ['history', 'samples kept on the box', async () => (await import('./training/training-commands.ts')).defineHistory],
  ['models', 'the model directory', async () => (await import('./models/models-commands.ts')).defineModels],
  ['outbox', 'records on the box', async () => (await import('./outbox-command.ts')).defineOutbox],
  [
    'init',
    'writes a commented configuration for one device; asks for what no option gives',
    async () => (await import('./setup/init-command.ts')).defineInit,
  ],
  [
    'scan',
    'units, identification and readable registers of Modbus devices, or the topics of a broker; never writes',
    async () => (await import('./setup/scan-command.ts')).defineScan,
  ],
  [
    'opcua',
    'OPC UA: trust a server, list its variables, show the certificate of andon',
    async () => (await import('./opcua/opcua-commands.ts')).defineOpcua,
  ],
  ['tags', 'tags of the configuration', async () => (await import('./setup/tags-command.ts')).defineTags],
  [
    'unit',
    'drop-in that opens the sandbox of the installed service to what the configuration needs',
    async () => (await import('./setup/unit-command.ts')).defineUnit,
  ],
  [
    'gpu',
    'CUDA: install its libraries without a network, and check every execution provider of this box',
    async () => (await import('./gpu/gpu-commands.ts')).defineGpu,
  ],
  [
    'import',
    'register maps and tag exports of other tools as tag files; lists every line that is not understood',
    async () => (await import('./import-command.ts')).defineImport,
  ],
  ['alarms', 'alarms of the running agent', async () => (await import('./alarms-command.ts')).defineAlarms],
  [
    'output',
    'lamps, horns and commands that follow alarms',
    async () => (await import('./output-command.ts')).defineOutput,
  ],
  ['notify', 'messages to people about alarms', async () => (await import('./notify-command.ts')).defineNotify],
  [
    'users',
    'who may log in; a change applies without a restart',
    async () => (await import('./access/users-commands.ts')).defineUsers,
  ],
  [
    'tokens',
    'tokens of programs; a change applies without a restart',
    async () => (await import('./access/tokens-commands.ts')).defineTokens,
  ],
  [
    'fleet',
    'many boxes: enrolment, models and configurations',
    async () => (await import('./fleet/fleet-commands.ts')).defineFleet,
  ],
  ['agent', 'enrols this box in a fleet', async () => (await import('./fleet/agent-commands.ts')).defineAgent],
  ['tls', 'certificates of this box', async () => (await import('./access/tls-command.ts')).defineTls],
  [
    'audit',
    'who did what: acts of operators, and changes of models',
    async () => (await import('./access/audit-commands.ts')).defineAudit,
  ],
  [
    'backup',
    'copies records, alarms, history, models and configuration to one file, also while the agent runs',
    async () => (await import('./backup-command.ts')).defineBackup,
  ],
  [
    'restore',
    'puts the content of a backup in place of the present one, which is kept; the agent must be stopped',
    async () => (await import('./backup-command.ts')).defineRestore,
  ],
  ['status', "the running agent's health", async () => (await import('./status-command.ts')).defineStatus],
  ['schema', "the configuration's JSON Schema", async () => (await import('./schema-command.ts')).defineSchema],
  [
    COMPLETION,
    'script that completes commands and options in a shell',
    async () => (await import('./completion-command.ts')).defineCompletion,
  ],
];

/**
 * Adds the commands to the program. Only those that the arguments name get their options and subcommands, because their
 * modules are most of the time that a command needs to start. `completion` gets all.
 */
export async function defineCommands(program: Command, args: readonly string[]): Promise<void> {
  const isNeeded = (name: string) => args.includes(name) || args.includes(COMPLETION);
  for (const [name, description, load] of entries) {
    const command = program.command(name).description(description);
    if (isNeeded(name)) (await load())(command);
  }
}
