import type { ErrorCatalogue } from '../../platform/errors.ts';

/** Errors of an MQTT connection; shared by source, uplink and publisher. */
export const mqttErrors = {
  'mqtt-not-connected': {
    disposition: 'retry',
    meaning: 'There is no connection to the broker, or it was lost while a message was in flight.',
    remedy: 'Check that the broker runs and is reachable. The agent reconnects automatically.',
  },
  'mqtt-publish-timeout': {
    disposition: 'retry',
    meaning: 'The broker did not acknowledge a message in time. The agent reconnects.',
    remedy: 'Check the load and the disk of the broker, and the network.',
  },
  'mqtt-too-many-in-flight': {
    disposition: 'retry',
    meaning: 'More than 200 messages would wait for their acknowledgement.',
    remedy: 'The broker is slower than the rate of records. Check its load.',
  },
  'mqtt-publish-refused': {
    disposition: 'retry',
    meaning: 'The broker refused a message, usually because of missing permission (MQTT 5 only).',
    remedy: 'Allow the user to publish on the topic, or raise the quota. The message contains the reason.',
  },
  'mqtt-message-invalid': {
    disposition: 'reject',
    meaning: 'The topic is invalid: it is empty, longer than 65535 bytes, or contains a wildcard or NUL.',
    remedy: 'Fix the topic.',
  },
  'mqtt-publish-too-large': {
    disposition: 'reject',
    meaning: 'The message is larger than the limit of the broker. An uplink divides its batches automatically.',
    remedy: 'For a single record: raise the limit of the broker.',
  },
  'mqtt-unreachable': {
    disposition: 'retry',
    meaning: 'The network connection to the broker failed.',
    remedy: 'Check host, port, firewall and certificate. The message contains the reason.',
  },
  'mqtt-refused': {
    disposition: 'retry',
    meaning: 'The broker refused the login.',
    remedy: 'Check user name, password, client id and the access rights on the broker.',
  },
  'mqtt-connect-timeout': {
    disposition: 'retry',
    meaning: 'The broker did not complete the login or the subscriptions in time.',
    remedy: 'Check that the port is an MQTT port, and the load of the broker.',
  },
  'mqtt-keepalive': {
    disposition: 'retry',
    meaning: 'The broker sent nothing for 1.5 keepalive periods, not even the answer to a ping.',
    remedy: 'The network is interrupted. Check switches, VPNs and firewalls between agent and broker.',
  },
  'mqtt-closed': {
    disposition: 'retry',
    meaning: 'The broker closed the connection.',
    remedy: 'Check the log of the broker. Two clients with the same client id disconnect each other.',
  },
  'mqtt-malformed-packet': {
    disposition: 'retry',
    meaning: 'The broker sent bytes that are not valid MQTT. The agent reconnects.',
    remedy: 'Check that the port is an MQTT port of the configured scheme (mqtt, mqtts, ws, wss).',
  },
  'mqtt-message-too-large': {
    disposition: 'retry',
    meaning: 'The broker sent a message larger than maxMessageSize. It was not read, and the agent reconnects.',
    remedy: 'Raise maxMessageSize, or stop that publisher. A retained message is sent again after each reconnect.',
  },
  'sparkplug-payload-invalid': {
    disposition: 'reject',
    meaning: 'A message on a Sparkplug topic is not a Sparkplug B payload. It was dropped and counted.',
    remedy: 'Check the edge node in the message: another version, or another program on its topic.',
  },
  'mqtt-handler-failed': {
    disposition: 'retry',
    meaning: 'A message could not be processed and was not acknowledged. The agent reconnects.',
    remedy: 'The message contains the cause.',
  },
} as const satisfies ErrorCatalogue;

export type MqttErrorCode = keyof typeof mqttErrors;
