import { MqttBroker } from '../plant/mqtt-broker.ts';

/** Message from the broker's process to its parent when it listens. */
export type BrokerListening = { readonly type: 'listening'; readonly port: number };

/** Argument: the port to listen on, 0 for a free one. Ends when the parent ends or disconnects. */
const broker = await MqttBroker.listen({ port: Number(process.argv[2] ?? 0) });

process.once('disconnect', () => void broker[Symbol.asyncDispose]());
// Ctrl-C reaches the whole process group: the parent decides when the broker ends.
process.on('SIGINT', () => undefined);
process.send?.({ type: 'listening', port: broker.port } satisfies BrokerListening);
