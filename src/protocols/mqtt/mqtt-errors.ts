import type { ErrorCatalogue } from '../../platform/errors.ts';

/** What can go wrong on an MQTT connection; shared by source, uplink and publisher. */
export const mqttErrors = {
  'mqtt-not-connected': {
    disposition: 'retry',
    meaning: 'There is no connection to the broker, or it was lost while a message was in flight.',
    remedy: 'Check that the broker runs and that the box reaches it; the connection comes back by itself.',
  },
  'mqtt-publish-timeout': {
    disposition: 'retry',
    meaning: 'The broker did not acknowledge a message in time. The connection is made anew.',
    remedy: 'Look at the load and the disk of the broker, and at the line between.',
  },
  'mqtt-too-many-in-flight': {
    disposition: 'retry',
    meaning: 'More messages were handed over than may wait for their acknowledgement at the same time.',
    remedy: 'The broker is slower than the records come in; look at its load.',
  },
  'mqtt-publish-refused': {
    disposition: 'retry',
    meaning: 'The broker answered a message with a refusal, most often for want of permission (MQTT 5 only).',
    remedy: 'Allow the user to publish on the topic, or raise the quota; the reason is in the message.',
  },
  'mqtt-message-invalid': {
    disposition: 'reject',
    meaning: 'The topic can never be accepted, as for a wildcard in it.',
    remedy: 'Correct the topic.',
  },
  'mqtt-publish-too-large': {
    disposition: 'reject',
    meaning: 'The message has more bytes than the broker said it takes. An uplink cuts its batches smaller by itself.',
    remedy: 'For a single record: raise the limit on the broker.',
  },
  'mqtt-unreachable': {
    disposition: 'retry',
    meaning: 'The network connection to the broker could not be made, or broke.',
    remedy: 'Check host, port, firewall and certificate; the reason is in the message.',
  },
  'mqtt-refused': {
    disposition: 'retry',
    meaning: 'The broker refused the login.',
    remedy: 'Check user name, password, client id and the access rights on the broker.',
  },
  'mqtt-connect-timeout': {
    disposition: 'retry',
    meaning: 'The broker did not complete the login or the subscriptions in time.',
    remedy: 'Check that the port is an MQTT port; look at the load of the broker.',
  },
  'mqtt-keepalive': {
    disposition: 'retry',
    meaning: 'Nothing came from the broker for one and a half keepalive periods, not even the answer to a ping.',
    remedy: 'The line is dead although nobody closed it: look at switches, VPNs and firewalls between.',
  },
  'mqtt-closed': {
    disposition: 'retry',
    meaning: 'The broker closed the connection.',
    remedy: 'Look into the log of the broker. Two clients with the same client id throw each other out.',
  },
  'mqtt-malformed-packet': {
    disposition: 'retry',
    meaning: 'What came over the connection is not MQTT. The connection is made anew.',
    remedy: 'Check that the port is an MQTT port of the configured scheme (mqtt, mqtts, ws, wss).',
  },
  'mqtt-message-too-large': {
    disposition: 'retry',
    meaning: 'The broker announced a message larger than maxMessageSize; it was not read. The connection is made anew.',
    remedy: 'Raise maxMessageSize, or keep that publisher from the topic; a retained message comes again each time.',
  },
  'sparkplug-payload-invalid': {
    disposition: 'reject',
    meaning: 'A message on a Sparkplug topic is no payload of Sparkplug B; it was left out and counted.',
    remedy: 'Look at the edge node that the message names: another version, or another program on its topic.',
  },
  'mqtt-handler-failed': {
    disposition: 'retry',
    meaning: 'A message could not be taken over, was not acknowledged, and the connection was made anew.',
    remedy: 'The cause is in the message.',
  },
} as const satisfies ErrorCatalogue;

export type MqttErrorCode = keyof typeof mqttErrors;
