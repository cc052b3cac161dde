import type { WaveformResult, WaveformRules } from '../contracts/waveforms/waveform-analysis.ts';

/** Calls from the main thread to the waveform worker. */
export type WaveformProtocol = {
  analyse: {
    readonly params: {
      readonly samples: Float64Array<ArrayBuffer>;
      readonly rules: WaveformRules;
      readonly speedHz: number | undefined;
    };
    readonly result: WaveformResult;
  };
};
