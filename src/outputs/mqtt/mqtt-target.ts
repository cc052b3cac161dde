import type { MqttOutputConfig } from './mqtt-output-config.ts';

/** Returns the address of an output, for a person: `line/horn at broker:1883`. */
export function mqttTarget({ topic, url }: MqttOutputConfig): string {
  return `${topic} at ${new URL(url).host}`;
}
