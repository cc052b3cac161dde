import { afterAll, beforeAll, expect, test } from 'vitest';
import { FaultyLine } from '../../support/contract-line.ts';
import { lineNode, opcuaSource, temporaryFolder } from '../../support/opcua-plant.ts';
import { opcuaPeer, OpcuaServer } from '../../support/opcua-server.ts';
import { describeWith } from '../../support/programs.ts';
import type { SourceHarness } from '../../support/source-harness.ts';

describeWith([opcuaPeer], 'an OPC UA source, with asyncua as server', () => {
  let server: OpcuaServer;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeAll(async () => {
    folder = await temporaryFolder();
    server = await OpcuaServer.start({ tickMs: 50 });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  /** Does something, and returns the first sample of a tag after it began that satisfies the condition. */
  async function after(
    harness: SourceHarness,
    tag: string,
    act: () => unknown,
    accepts: (sample: Sample) => boolean,
  ): Promise<Sample> {
    const from = harness.batches.items.length;
    await act();
    const find = () =>
      harness.batches.items
        .slice(from)
        .flat()
        .find((sample) => sample.tag === tag && accepts(sample));
    await expect.poll(find).toBeDefined();
    return find() as Sample;
  }

  test('reads every type, elements and fields', async () => {
    const whole = ['SByte', 'Byte', 'Int16', 'UInt16', 'Int32', 'UInt32', 'Int64', 'UInt64'];
    const tags = {
      ...Object.fromEntries(whole.map((name) => [name, lineNode(name)])),
      wide: lineNode('Wide'),
      float: lineNode('Float', { scale: 10, offset: 1 }),
      on: lineNode('On'),
      text: lineNode('Text', { map: { run: 3 } }),
      unmapped: lineNode('Text'),
      time: lineNode('Time'),
      element: lineNode('Array', { path: '[1]' }),
      array: lineNode('Array'),
      beyond: lineNode('Array', { path: '[3]' }),
      cell: lineNode('Matrix', { path: '[1,0]' }),
      speed: lineNode('Motor', { path: 'Speed' }),
      hours: lineNode('Motor', { path: 'Hours' }),
      current: lineNode('Motor', { path: 'Currents[1]' }),
      torque: lineNode('Motor', { path: 'Torque' }),
      mode: lineNode('Mode'),
      missing: lineNode('Missing'),
      elsewhere: { node: 'nsu=urn:acme:elsewhere;s=Line.Temp' },
    };
    const { source, harness, health } = opcuaSource(server.url, folder.path, { tags });
    await using _source = source;
    await expect.poll(() => Object.keys(tags).filter((tag) => harness.last(tag) === undefined)).toEqual([]);
    await expect.poll(() => health()?.status).toBe('degraded');
    const found = (tag: string) => {
      const { value, quality, reason } = harness.last(tag) ?? {};
      return [tag, value, quality, reason];
    };
    expect(Object.keys(tags).map(found)).toEqual([
      ['SByte', -5, 'good', 'none'],
      ['Byte', 200, 'good', 'none'],
      ['Int16', -300, 'good', 'none'],
      ['UInt16', 60_000, 'good', 'none'],
      ['Int32', -70_000, 'good', 'none'],
      ['UInt32', 4_000_000_000, 'good', 'none'],
      ['Int64', -(2 ** 53) + 1, 'good', 'none'],
      ['UInt64', 2 ** 53 - 1, 'good', 'none'],
      ['wide', 2 ** 60, 'uncertain', 'precision-lost'],
      ['float', 6, 'good', 'none'],
      ['on', 1, 'good', 'none'],
      ['text', 3, 'good', 'none'],
      ['unmapped', Number.NaN, 'bad', 'payload-invalid'],
      ['time', Date.UTC(2026, 4, 1), 'good', 'none'],
      ['element', 2.5, 'good', 'none'],
      ['array', Number.NaN, 'bad', 'payload-invalid'],
      ['beyond', Number.NaN, 'bad', 'payload-invalid'],
      ['cell', 4, 'good', 'none'],
      ['speed', 1480.5, 'good', 'none'],
      ['hours', 2 ** 40 + 3, 'good', 'none'],
      ['current', 2.5, 'good', 'none'],
      ['torque', Number.NaN, 'bad', 'payload-invalid'],
      ['mode', 1, 'good', 'none'],
      ['missing', Number.NaN, 'bad', 'refused'],
      ['elsewhere', Number.NaN, 'bad', 'refused'],
    ]);
    expect(health()?.reason).toContain('missing: nsu=urn:acme:line;s=Line.Missing refused: BadNodeIdUnknown');
    expect(health()?.reason).toContain(
      'the server has no namespace with this URI; it has urn:acme:server, urn:acme:line',
    );
  });

  test('takes quality and time from the server, and holds a value that does not change', async () => {
    const { source, harness, health } = opcuaSource(server.url, folder.path, { tags: { temp: lineNode('Temp') } });
    await using _source = source;
    await expect.poll(() => health()?.status).toBe('ok');
    const seconds = Math.floor(Date.now() / 1000) - 2;
    const write = (command: Parameters<OpcuaServer['write']>[0], accepts: (sample: Sample) => boolean) =>
      after(harness, 'temp', () => server.write(command), accepts);
    expect(
      await write(
        { node: 'Temp', value: 21, status: 'UncertainLastUsableValue', time: seconds },
        ({ value }) => value === 21,
      ),
    ).toMatchObject({ timeMs: seconds * 1000, quality: 'uncertain', reason: 'marked-not-good' });
    expect(
      await write({ node: 'Temp', value: null, status: 'BadSensorFailure' }, ({ quality }) => quality === 'bad'),
    ).toMatchObject({ value: Number.NaN, reason: 'marked-not-good' });
    await expect.poll(() => health()?.reason).toContain('temp: the server marks it BadSensorFailure');
    await write({ node: 'Temp', value: 'nan' }, ({ reason }) => reason === 'not-finite');
    const first = await write({ node: 'Temp', value: 22 }, ({ value }) => value === 22);
    const held = await after(
      harness,
      'temp',
      () => undefined,
      ({ timeMs }) => timeMs > first.timeMs,
    );
    expect(held).toMatchObject({ value: 22, quality: 'good' });
  });

  test('keeps every sample of a publishing interval in the queue', async () => {
    const tags = { tick: lineNode('Tick', { samplingInterval: '50ms', publishingInterval: '1s' }) };
    const { source, harness, health } = opcuaSource(server.url, folder.path, { tags });
    await using _source = source;
    await expect.poll(() => health()?.status).toBe('ok');
    const from = harness.batches.items.length;
    await expect.poll(() => harness.batches.items.slice(from).some(({ length }) => length >= 5)).toBe(true);
  });

  test('lists a node with its numbers and the nodes below it, by the URI of the namespace', async () => {
    const { source, health } = opcuaSource(server.url, folder.path, { tags: { temp: lineNode('Temp') } });
    await using _source = source;
    await expect(source.browseNodes(undefined)).rejects.toMatchObject({ code: 'opcua-browse-failed' });
    await expect.poll(() => health()?.status).toBe('ok');
    const root = await source.browseNodes(undefined);
    expect(root.children.map(({ name }) => name)).toEqual(['Line']);
    const line = await source.browseNodes(root.children[0]?.node);
    expect(line).toMatchObject({ node: { name: 'Line', isVariable: false }, values: [], isComplete: true });
    expect(line.children.find(({ name }) => name === 'Float')).toEqual({
      name: 'Float',
      node: 'nsu=urn:acme:line;s=Line.Float',
      type: 'Float',
      value: '0.5',
      status: 'Good',
      isVariable: true,
      hasChildren: false,
      unit: undefined,
      range: undefined,
    });
    const motor = await source.browseNodes('nsu=urn:acme:line;s=Line.Motor');
    expect(motor.values).toContainEqual({ path: 'currents[1]', value: 2.5 });
    await expect(source.browseNodes('nsu=urn:acme:line;s=Line.Missing')).rejects.toMatchObject({
      code: 'opcua-browse-failed',
      message: expect.stringContaining('BadNodeIdUnknown') as string,
    });
    const many = Array.from({ length: 5 }, () => source.browseNodes(undefined));
    expect((await Promise.allSettled(many)).map(({ status }) => status)).toContain('rejected');
  });

  test('replaces a connection that became silent, and marks its tags as bad', async () => {
    await using line = await FaultyLine.to(server.port);
    await line.begin();
    const url = `opc.tcp://127.0.0.1:${line.port}/line`;
    const { source, harness, health } = opcuaSource(url, folder.path, {
      tags: { tick: lineNode('Tick') },
      connectTimeout: '5s',
    });
    await using _source = source;
    await expect.poll(() => health()?.status).toBe('ok');
    await after(
      harness,
      'tick',
      () => line.set('silent'),
      ({ reason }) => reason === 'link-down',
    );
    expect(health()).toMatchObject({ status: 'degraded' });
    expect(health()?.reason).toMatch(/sent no notification and no keep-alive for \d/);
    await after(
      harness,
      'tick',
      () => line.set('open'),
      ({ quality }) => quality === 'good',
    );
    await expect.poll(() => health()?.status).toBe('ok');
  });

  test('reads again after a restart of the server that numbers its namespaces differently', async () => {
    const first = await OpcuaServer.start({ tickMs: 50 });
    await using _first = first;
    const { source, harness, health } = opcuaSource(first.url, folder.path, { tags: { tick: lineNode('Tick') } });
    await using _source = source;
    const isGood = ({ quality }: Sample) => quality === 'good';
    await after(harness, 'tick', () => undefined, isGood);
    await after(
      harness,
      'tick',
      () => first.kill(),
      ({ reason }) => reason === 'link-down',
    );
    await expect.poll(() => health()?.reason).toContain('ECONNREFUSED');
    const restart = { port: first.port, tickMs: 50, uris: ['urn:acme:first', 'urn:acme:line'] };
    await using stack = new AsyncDisposableStack();
    await after(harness, 'tick', async () => stack.use(await OpcuaServer.start(restart)), isGood);
    await expect.poll(() => health()?.status).toBe('ok');
  });
});

type Sample = NonNullable<ReturnType<SourceHarness['last']>>;
