// An OPC UA server of node-opcua without security. Arguments: folder of node-opcua-server, and { port, tickMs, items, before }.
const { OPCUAServer } = require(process.argv[2]);
const { Variant } = require(require('node:path').join(process.argv[2], '../node-opcua-variant'));
const { port, tickMs, items = 0, before = 0 } = JSON.parse(process.argv[3]);
(async () => {
  const server = new OPCUAServer({
    port,
    hostname: '127.0.0.1',
    resourcePath: '/line',
    securityModes: [1],
    securityPolicies: ['http://opcfoundation.org/UA/SecurityPolicy#None'],
    allowAnonymous: true,
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  for (let n = 0; n < before; n += 1) space.registerNamespace(`urn:acme:before-${n}`);
  const own = space.registerNamespace('urn:acme:line');
  const line = own.addObject({ organizedBy: space.rootFolder.objects, browseName: 'Line', nodeId: 's=Line' });
  const add = (name, get) =>
    own.addVariable({
      componentOf: line,
      browseName: name,
      nodeId: `s=Line.${name}`,
      dataType: 'UInt32',
      minimumSamplingInterval: 10,
      value: { get: () => new Variant({ dataType: 'UInt32', value: get() }) },
    });
  const start = Date.now();
  const count = () => Math.floor((Date.now() - start) / tickMs);
  add('Tick', count);
  for (let n = 0; n < items; n += 1) add(`T${n}`, count);
  await server.start();
  process.stdout.write('ready\n');
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0));
})().catch((e) => {
  console.error(e);
  process.exit(1);
});
