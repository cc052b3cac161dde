import { expect, test } from 'vitest';
import { andon } from '../cli/run-andon.ts';
import { freePort } from '../support/free-port.ts';
import { MessageSink } from '../support/message-sink.ts';
import { ModbusRawServer } from '../support/modbus-raw-server.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

/** Ids of the alarms of a message, and its kind. */
function alarmsOf({ body }: { readonly body: string }): readonly string[] {
  const { alarms } = JSON.parse(body) as { readonly alarms: readonly { readonly alarm: string }[] };
  return alarms.map(({ alarm }) => alarm);
}

test('no alarm of before a kill is lost while the service was down, and none is repeated after a restart', async () => {
  await using device = await ModbusRawServer.listen();
  using folder = new AgentFolder();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/hook`;
  const tag = (address: number) => ({ register: 'holding', address, type: 'uint16' });
  folder.configure({
    sources: { plc: { type: 'modbus', url: device.url, scanInterval: '100ms', tags: { level: tag(0), flow: tag(1) } } },
    limits: { level: { high: 50 }, flow: { high: 50 } },
    notify: { shift: { type: 'webhook', url, group: { wait: '0ms' }, retry: { first: '50ms', max: '100ms' } } },
  });
  {
    await using agent = await AgentProcess.start(folder.configFile);
    device.registers[0] = 100;
    await agent.logged(({ component, status }) => component === 'notify/shift' && status === 'degraded');
    await agent.end('SIGKILL');
  }
  {
    await using sink = await MessageSink.listen(port);
    await using agent = await AgentProcess.start(folder.configFile);
    expect(alarmsOf(await sink.accepted.when(() => true))).toEqual(['limit/level/high']);
    // To open the link acknowledges nothing.
    await fetch(`${agent.httpUrl}/alarms`);
    const listed = await andon('alarms', 'list', '-c', folder.configFile, '--url', agent.httpUrl, '--json');
    const { alarms } = JSON.parse(listed.stdout) as {
      readonly alarms: readonly { readonly alarm: string; readonly state: string }[];
    };
    expect(alarms.find(({ alarm }) => alarm === 'limit/level/high')?.state).toBe('unacknowledged');
    const tested = await andon('notify', 'test', '-c', folder.configFile, '--yes', '--json');
    expect(JSON.parse(tested.stdout)).toEqual({ ok: true, channels: [{ channel: 'shift', ok: true, reason: null }] });
    expect(await agent.end('SIGTERM')).toBe(0);
    expect(sink.accepted.items).toHaveLength(2);
  }
  await using sink = await MessageSink.listen(port);
  await using agent = await AgentProcess.start(folder.configFile);
  device.registers[1] = 100;
  expect(alarmsOf(await sink.accepted.when(() => true))).toEqual(['limit/flow/high']);
  expect(await agent.end('SIGTERM')).toBe(0);
  expect(agent.stderr).toBe('');
});

test('andon notify test asks first, and reports a channel that does not work', async () => {
  using folder = new AgentFolder();
  const source = {
    type: 'modbus',
    url: 'tcp://127.0.0.1:9',
    tags: { level: { register: 'input', address: 0, type: 'int16' } },
  };
  folder.configure({ sources: { plc: source }, notify: { shift: { type: 'webhook', url: 'http://127.0.0.1:9/' } } });
  const command = ['notify', 'test', '-c', folder.configFile] as const;
  const asked = await andon(...command);
  expect(asked.stderr).toMatch(/Send a test message through shift\? Without a terminal, answer with --yes/);
  expect(asked.code).not.toBe(0);
  expect(await andon(...command, '--yes')).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^shift: The request to 127\.0\.0\.1:9 failed/),
  });
  expect((await andon(...command, 'other')).stderr).toMatch(/no channel 'other': expected shift/);
});
