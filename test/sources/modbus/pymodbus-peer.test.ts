import { expect, test } from 'vitest';
import { TestCertificates } from '../../support/broker-certificates.ts';
import { ModbusSourceFixture } from '../../support/modbus-source-fixture.ts';
import { describeWith, pythonWith } from '../../support/programs.ts';
import { PymodbusServer } from '../../support/pymodbus-server.ts';
import { SerialLine } from '../../support/serial-line.ts';

/*
 * A device of another project: pymodbus with ASCII frames, over TCP and on a serial line, and Modbus TCP over TLS with a
 * client certificate. Holding register n has the value n * 3.
 */
const python = pythonWith('pymodbus', 'pymodbus');
const quick = { scanInterval: '50ms', timeout: '2s', reconnect: { first: '20ms', max: '60ms' } };
const tags = {
  first: { register: 'holding', address: 0, type: 'uint16' },
  far: { register: 'input', address: 120, type: 'uint16' },
} as const;
const allGood = { first: 0, far: 360 };

describeWith([python], 'a device with ASCII frames', () => {
  test('is read over TCP', async () => {
    await using device = await PymodbusServer.start('ascii');
    await using plc = ModbusSourceFixture.start({ ...quick, url: `ascii+tcp://127.0.0.1:${device.port}`, tags });
    for (let scans = 0; scans < 3; scans += 1) await plc.shows(allGood);
    expect(plc.health).toEqual({ status: 'ok', reason: '' });
  });
});

describeWith([python, 'socat'], 'a device with ASCII frames on a serial line', () => {
  test('is read', async () => {
    await using device = await PymodbusServer.start('ascii');
    await using line = await SerialLine.plugIn(device.port);
    const url = `ascii+${line.url}&dataBits=8`;
    await using plc = ModbusSourceFixture.start({ ...quick, url, tags });
    for (let scans = 0; scans < 3; scans += 1) await plc.shows(allGood);
    expect(plc.health).toEqual({ status: 'ok', reason: '' });
  });
});

describeWith([python, 'openssl'], 'a device with Modbus/TCP Security', () => {
  test('is read with a certificate, and refuses a client without one', async () => {
    await using files = TestCertificates.make();
    const { ca, server, client } = files;
    await using device = await PymodbusServer.start('tls', [server.cert, server.key, ca]);
    const url = `tcps://127.0.0.1:${device.port}`;
    await using plc = ModbusSourceFixture.start({ ...quick, url, tls: { ca, ...client }, tags });
    await plc.shows(allGood);
    await using stranger = ModbusSourceFixture.start({ ...quick, url, tls: { ca }, tags });
    await stranger.shows({ first: 'bad link-down' });
    await using distrustful = ModbusSourceFixture.start({ ...quick, url, tls: { ...client }, tags });
    await distrustful.shows({ first: 'bad link-down' });
    expect(distrustful.health.reason).toMatch(/certificate/);
    await using missing = ModbusSourceFixture.start({ ...quick, url, tls: { ca: '/nowhere/ca.pem' }, tags });
    await missing.shows({ first: 'bad link-down' });
    expect(missing.health.reason).toContain('The TLS file /nowhere/ca.pem cannot be read');
  });
});
