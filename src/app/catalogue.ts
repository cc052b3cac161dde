import { type ErrorCatalogue, reject, retry } from '../platform/errors.ts';
import { alarmErrors } from '../pipeline/alarm-errors.ts';
import { alarmMetrics } from '../pipeline/alarm-metrics.ts';
import { driftMetrics } from '../pipeline/drift-monitor.ts';
import { pipelineMetrics } from '../pipeline/pipeline-metrics.ts';
import { fleetErrors } from '../fleet/fleet-errors.ts';
import { waveformErrors } from '../waveforms/waveform-errors.ts';
import { waveformMetrics } from '../waveforms/waveform-metrics.ts';
import { rolloutMetrics } from '../rollout/rollout-metrics.ts';
import { accessErrors } from '../web/access/access-errors.ts';
import { accessMetrics } from '../web/access/access-metrics.ts';
import { configurationErrors } from '../config-editing/configuration-errors.ts';
import { httpErrors } from '../web/http-errors.ts';
import { httpMetrics } from '../web/http-metrics.ts';
import { backupDownloadErrors } from './backup-process.ts';
import { apiErrors } from '../http/api-errors.ts';
import { apiMetrics } from '../http/api-metrics.ts';
import { v2Errors } from '../serving/v2/v2-errors.ts';
import { grpcMetrics } from '../serving/grpc/grpc-metrics.ts';
import { v2Metrics } from '../serving/v2/v2-metrics.ts';
import { inferenceErrors } from '../models/errors/inference-errors.ts';
import { inferenceMetrics } from '../runtime/queue/inference-metrics.ts';
import { registryErrors } from '../models/errors/registry-errors.ts';
import { nvInferenceMetrics } from '../runtime/queue/nv-inference-metrics.ts';
import { remoteErrors } from '../models/errors/remote-errors.ts';
import { remoteMetrics } from '../runtime/remote/remote-metrics.ts';
import { outboxErrors } from '../outbox/file/outbox-errors.ts';
import { outboxMetrics } from '../outbox/file/outbox-metrics.ts';
import { notifyErrors } from '../notify/notify-errors.ts';
import { notifyMetrics } from '../notify/notify-metrics.ts';
import { outputErrors } from '../outputs/output-errors.ts';
import { outputMetrics } from '../outputs/output-metrics.ts';
import { plantErrors } from '../plant/plant-errors.ts';
import { healthMetrics } from '../platform/health.ts';
import type { MetricCatalogue } from '../platform/metrics.ts';
import { mqttErrors } from '../protocols/mqtt/mqtt-errors.ts';
import { mqttMetrics } from '../protocols/mqtt/mqtt-metrics.ts';
import { wallClockMetrics } from '../platform/wall-clock-monitor.ts';
import { modbusErrors } from '../sources/modbus/link/modbus-errors.ts';
import { modbusMetrics } from '../sources/modbus/link/modbus-metrics.ts';
import { mqttSourceMetrics } from '../sources/mqtt/mqtt-source-metrics.ts';
import { opcuaErrors } from '../sources/opcua/opcua-errors.ts';
import { opcuaMetrics } from '../sources/opcua/opcua-metrics.ts';
import { sparkplugSourceMetrics } from '../sources/sparkplug/sparkplug-source-metrics.ts';
import { trainingErrors } from '../training/core/training-errors.ts';
import { publishMetrics } from '../uplinks/publish-metrics.ts';
import { parquetMetrics } from '../uplinks/parquet/parquet-metrics.ts';
import { sparkplugPublishMetrics } from '../uplinks/sparkplug/sparkplug-publish-metrics.ts';
import { uplinkErrors } from '../uplinks/uplink-errors.ts';
import { uplinkMetrics } from '../uplinks/uplink-metrics.ts';
import { commandErrors } from './command-errors.ts';
import { watchdogMetrics } from './watchdog.ts';

/** Errors of the agent as a whole, which no single part of it owns. */
const agentErrors = {
  'config-invalid': reject(
    'The configuration is wrong. Every problem is shown with its file, line and column; the exit code is 78.',
    'Fix the reported lines, then run `andon check FILE`. systemd does not restart the agent until the file is valid.',
  ),
  'invariant-broken': reject(
    'Something happened that andon itself rules out: a bug. The outbox is flushed and the exit code is 70.',
    'systemd restarts the agent. Please report it, with the lines of the log before it.',
  ),
  'secret-missing': retry(
    'A secret that the configuration refers to is not there: its environment variable is not set, or its file cannot be read or is empty.',
    'Set the variable or create the file (`/etc/andon/credentials` under systemd). It is read again at each attempt. The model server has the variables that `serving.environment` lists.',
  ),
  'rpc-closed': retry(
    'A child process or thread of the agent ended while a call to it was under way.',
    'It restarts automatically. If it repeats, look for the reason in the log lines before it.',
  ),
  'rpc-timeout': retry(
    'A child process or thread of the agent did not answer in time.',
    'A box that is overloaded or short of memory, or a disk that stalls. The call is repeated by its owner.',
  ),
  'rpc-unknown-method': reject(
    'A child process of another version of andon was called.',
    'Restart the agent after an upgrade, so that all of it is of one version.',
  ),
} as const satisfies ErrorCatalogue;

/** A catalogue with the part of andon that it belongs to, as a heading of the docs. */
export type Titled<Catalogue> = { readonly title: string; readonly catalogue: Catalogue };

/** Every error code there is. */
export const errorCatalogues: readonly Titled<ErrorCatalogue>[] = [
  { title: 'The agent', catalogue: agentErrors },
  { title: 'Modbus sources', catalogue: modbusErrors },
  { title: 'MQTT, as source, publisher and uplink', catalogue: mqttErrors },
  { title: 'OPC UA sources', catalogue: opcuaErrors },
  { title: 'Waveforms', catalogue: waveformErrors },
  { title: 'Models', catalogue: inferenceErrors },
  { title: 'Remote models', catalogue: remoteErrors },
  { title: 'Management of models', catalogue: registryErrors },
  { title: 'Alarms', catalogue: alarmErrors },
  { title: 'Outbox', catalogue: outboxErrors },
  { title: 'Uplinks', catalogue: uplinkErrors },
  { title: 'Outputs', catalogue: outputErrors },
  { title: 'Notifications', catalogue: notifyErrors },
  {
    title: 'HTTP',
    catalogue: { ...httpErrors, ...accessErrors, ...apiErrors, ...backupDownloadErrors, ...configurationErrors },
  },
  { title: 'Models as a service', catalogue: v2Errors },
  { title: 'Fleet', catalogue: fleetErrors },
  { title: 'Training', catalogue: trainingErrors },
  { title: 'Simulated plant', catalogue: plantErrors },
  { title: 'Commands', catalogue: commandErrors },
];

/** Every metric of the agent; the process itself adds its own (cli/process-metrics.ts). */
export const metricCatalogues: readonly Titled<MetricCatalogue>[] = [
  { title: 'Health', catalogue: { ...healthMetrics, ...watchdogMetrics, ...wallClockMetrics } },
  { title: 'Modbus sources', catalogue: modbusMetrics },
  { title: 'MQTT sources', catalogue: mqttSourceMetrics },
  { title: 'Sparkplug sources', catalogue: sparkplugSourceMetrics },
  { title: 'OPC UA sources', catalogue: opcuaMetrics },
  { title: 'MQTT connections', catalogue: mqttMetrics },
  { title: 'Waveforms', catalogue: waveformMetrics },
  { title: 'Watches', catalogue: pipelineMetrics },
  { title: 'Drift', catalogue: driftMetrics },
  { title: 'Rollouts of versions', catalogue: rolloutMetrics },
  { title: 'Models', catalogue: inferenceMetrics },
  { title: 'Remote models', catalogue: remoteMetrics },
  { title: "Models, under Triton's names", catalogue: nvInferenceMetrics },
  { title: 'Alarms', catalogue: alarmMetrics },
  { title: 'Outbox', catalogue: outboxMetrics },
  { title: 'Local subscribers', catalogue: publishMetrics },
  { title: 'Sparkplug edge node', catalogue: sparkplugPublishMetrics },
  { title: 'Uplinks', catalogue: uplinkMetrics },
  { title: 'Uplinks that write Parquet files', catalogue: parquetMetrics },
  { title: 'Outputs', catalogue: outputMetrics },
  { title: 'Notifications', catalogue: notifyMetrics },
  { title: 'HTTP', catalogue: { ...httpMetrics, ...accessMetrics, ...apiMetrics, ...v2Metrics, ...grpcMetrics } },
];
