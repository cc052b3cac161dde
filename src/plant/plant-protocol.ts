import type { PumpPhase, PumpTimings } from './pump-scenario.ts';

/** Settings of the plant's process, as JSON in its first argument. */
export type PlantOptions = {
  readonly host: string;
  /** 0 selects a free port. */
  readonly modbusPort: number;
  /** Broker that the vibration sensor publishes to; undefined leaves the sensor off. */
  readonly mqttUrl: string | undefined;
  readonly vibrationTopic: string;
  readonly stepMs: number;
  readonly seed: number;
  readonly timings: PumpTimings;
};

/** Messages from the plant's process to its parent. */
export type PlantMessage =
  | { readonly type: 'listening'; readonly modbusPort: number }
  | { readonly type: 'phase'; readonly phase: PumpPhase }
  | { readonly type: 'failed'; readonly code: string; readonly message: string };
