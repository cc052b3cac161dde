import { MqttBroker } from '../plant/mqtt-broker.ts';

/** What the broker's process tells its parent, once it listens. */
export type BrokerListening = { readonly type: 'listening'; readonly port: number };

/** Argument: the port to listen on, 0 for a free one. Ends when the parent ends or hangs up. */
const broker = await MqttBroker.listen({ port: Number(process.argv[2] ?? 0) });

process.once('disconnect', () => void broker[Symbol.asyncDispose]());
// Ctrl-C reaches the whole process group: the parent decides when the broker goes.
process.on('SIGINT', () => undefined);
process.send?.({ type: 'listening', port: broker.port } satisfies BrokerListening);
