import { chmodSync } from 'node:fs';
import { expect, test } from 'vitest';
import { andon } from '../cli/run-andon.ts';
import { LibmodbusOutputs } from '../support/libmodbus-outputs.ts';
import { libmodbusHeader } from '../support/libmodbus-server.ts';
import { describeWith } from '../support/programs.ts';
import { AgentFolder } from '../support/start-agent.ts';

const LAMP = 17;
/** The watchdog of the device is not part of these tests. */
const NEVER_MS = 3_600_000;

describeWith(['gcc', 'pkg-config', libmodbusHeader], 'andon output test', () => {
  test('writes the value and then the safe value, also in a dry run, only after an answer and to a protected file', async () => {
    await using device = await LibmodbusOutputs.start(100, NEVER_MS, {});
    using folder = new AgentFolder();
    const tags = { level: { register: 'holding', address: 10, type: 'uint16' } };
    const red = {
      type: 'modbus',
      source: 'plc',
      write: { coil: LAMP },
      on: { alarms: ['limit/level/high'] },
      safe: 'off',
    };
    folder.configure({
      sources: { plc: { type: 'modbus', url: device.url, tags } },
      limits: { level: { high: 50 } },
      outputs: { red },
    });
    const command = ['output', 'test', 'red', '-c', folder.configFile, '--for', '10ms'] as const;
    const asked = await andon(...command);
    expect([asked.code === 0, asked.stderr]).toEqual([false, expect.stringContaining('The machine may react.')]);
    chmodSync(folder.configFile, 0o666);
    const held = await andon(...command, '--yes');
    expect([held.code === 0, held.stderr]).toEqual([false, expect.stringContaining('chmod go-w')]);
    expect(device.written('coil', LAMP)).toEqual([]);

    chmodSync(folder.configFile, 0o644);
    const tested = await andon(...command, '--yes', '--json');
    expect(tested).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(tested.stdout)).toMatchObject({ ok: true, output: 'red', value: 1, safe: 0 });
    await device.until(() => device.written('coil', LAMP).length === 2);
    expect(device.written('coil', LAMP)).toEqual([1, 0]);
    const audited = await andon('audit', 'export', '-c', folder.configFile);
    expect(JSON.parse(audited.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
      action: 'output-test',
      subject: 'red',
      detail: { value: 1, safe: 0, for_ms: 10 },
    });
  });
});
