import { type ErrorCatalogue, failures, reject, retry } from '../../platform/errors.ts';

/** Errors of an MQTT connection; shared by source, uplink and publisher. */
export const mqttErrors = {
  'mqtt-not-connected': retry(
    'There is no connection to the broker, or it was lost while a message was in flight.',
    'Check that the broker runs and is reachable. The agent reconnects automatically.',
  ),
  'mqtt-publish-timeout': retry(
    'The broker did not acknowledge a message in time. The agent reconnects.',
    'Check the load and the disk of the broker, and the network.',
  ),
  'mqtt-too-many-in-flight': retry(
    'More than 200 messages would wait for their acknowledgement.',
    'The broker is slower than the rate of records. Check its load.',
  ),
  'mqtt-publish-refused': retry(
    'The broker refused a message, usually because of missing permission (MQTT 5 only).',
    'Allow the user to publish on the topic, or raise the quota. The message contains the reason.',
  ),
  'mqtt-message-invalid': reject(
    'The topic is invalid: it is empty, longer than 65535 bytes, or contains a wildcard or NUL.',
    'Fix the topic.',
  ),
  'mqtt-publish-too-large': reject(
    'The message is larger than the limit of the broker. An uplink divides its batches automatically.',
    'For a single record: raise the limit of the broker.',
  ),
  'mqtt-payload-refused': reject(
    'The broker refused the content of a message (reason 0x99 of MQTT 5). An uplink divides its batches until one record is left.',
    'Read the rules of the broker for its topics. The record is kept as a dead letter.',
  ),
  'mqtt-unreachable': retry(
    'The network connection to the broker failed.',
    'Check host, port, firewall and certificate. The message contains the reason.',
  ),
  'mqtt-refused': retry(
    'The broker refused the login.',
    'Check user name, password, client id and the access rights on the broker.',
  ),
  'mqtt-connect-timeout': retry(
    'The broker did not complete the login or the subscriptions in time.',
    'Check that the port is an MQTT port, and the load of the broker.',
  ),
  'mqtt-keepalive': retry(
    'The broker sent nothing for 1.5 keepalive periods, not even the answer to a ping.',
    'The network is interrupted. Check switches, VPNs and firewalls between agent and broker.',
  ),
  'mqtt-closed': retry(
    'The broker closed the connection.',
    'Check the log of the broker. Two clients with the same client id disconnect each other.',
  ),
  'mqtt-malformed-packet': retry(
    'The broker sent bytes that are not valid MQTT. The agent reconnects.',
    'Check that the port is an MQTT port of the configured scheme (mqtt, mqtts, ws, wss).',
  ),
  'mqtt-message-too-large': retry(
    'The broker sent a message larger than maxMessageSize. It was not read, and the agent reconnects.',
    'Raise maxMessageSize, or stop that publisher. A retained message is sent again after each reconnect.',
  ),
  'sparkplug-payload-invalid': reject(
    'A message on a Sparkplug topic is not a Sparkplug B payload. It was dropped and counted.',
    'Check the edge node in the message: another version, or another program on its topic.',
  ),
  'sparkplug-host-offline': retry(
    'The primary host application of the Sparkplug edge node is offline, or has published no valid STATE. Nothing is published; changes are kept.',
    'Start the host application. Compare `sparkplug.primaryHost` with its host id, also in upper and lower case.',
  ),
  'mqtt-browser-busy': retry(
    'Another listing of the topics of this source is under way, or the source is stopping.',
    'Try again later. A listing takes at most 10 s.',
  ),
  'mqtt-browse-failed': retry(
    'The topics were not listed: the broker is not reachable, or refused the login or the subscription.',
    'The message has the reason. Listings use a client id of their own, `andon-browser-…`, and the login of the source: allow it to subscribe to the topics, or list fewer topics.',
  ),
  'mqtt-handler-failed': retry(
    'A message could not be processed and was not acknowledged. The agent reconnects.',
    'The message contains the cause.',
  ),
} as const satisfies ErrorCatalogue;

export type MqttErrorCode = keyof typeof mqttErrors;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const mqttFailure = failures(mqttErrors);
