import { counter, gauge, histogram, type MetricCatalogue } from '../platform/metrics.ts';

export const waveformMetrics = {
  andon_waveforms_total: counter('Waveforms whose features were calculated.'),
  andon_waveforms_dropped_total: counter(
    'Waveforms without features, by reason: queue-full (waveforms.maxWaiting), worker-lost.',
    ['reason'],
  ),
  andon_waveforms_waiting: gauge('Waveforms that wait for their features.'),
  andon_waveform_seconds: histogram('Time from the arrival of a waveform to its features.'),
  andon_waveform_worker_restarts_total: counter('Times that the waveform worker was replaced.'),
} as const satisfies MetricCatalogue;
