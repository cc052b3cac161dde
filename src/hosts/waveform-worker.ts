import { serveRpc } from '../platform/rpc.ts';
import { parentThreadPort } from '../platform/rpc-ports.ts';
import { analyseWaveform } from '../waveforms/features.ts';
import type { WaveformProtocol } from '../waveforms/waveform-protocol.ts';

/*
 * Entry file of the waveform worker: the thread that calculates features and spectra of waveforms, which would delay the thread
 * that reads the sources. Its priority is the usual one, because watches judge the features.
 */
serveRpc<WaveformProtocol>(parentThreadPort(), {
  analyse: ({ samples, rules, speedHz }) => analyseWaveform(samples, rules, speedHz),
});
