import { pumpCondition, type PumpPhase, type PumpTimings } from './pump-scenario.ts';
import { normalDraw } from './seeded-random.ts';

/** Values of the instruments of pump and filler, at their resolution. */
export type PumpReading = {
  readonly phase: PumpPhase;
  /** Root mean square of the acceleration at the drive-end bearing. */
  readonly vibrationG: number;
  readonly currentA: number;
  readonly pressureBar: number;
  readonly flowM3h: number;
  readonly temperatureC: number;
  readonly running: boolean;
  /** Weight of a bottle filled now, on the laboratory's scale. */
  readonly fillWeightG: number;
};

/** Time constants of first order: how fast each quantity follows its cause. */
const DEMAND_MS = 20_000;
const SPEED_MS = 1500;
const PRESSURE_MS = 400;
const FLOW_MS = 1200;
const CURRENT_MS = 600;
const VIBRATION_MS = 300;
const TEMPERATURE_MS = 5000;
const FILL_MS = 1000;

/** Deviation of the line's demand around 1, and the largest swing that the line control allows. */
const DEMAND_DEVIATION = 0.03;
const DEMAND_SWING_MAX = 0.06;
/** Openings of the filling valves per second; the pressure dips at each. */
const VALVE_HZ = 0.45;

type State = Record<'demand' | 'speed' | Exclude<keyof PumpReading, 'phase' | 'running'>, number>;

/**
 * A centrifugal pump that feeds a bottle filler: demand drives speed, speed drives pressure and flow, both need
 * current, and current and wear cause heat. Tags move together as in a plant, each delayed by its own inertia.
 *
 * Pure: time passes only through `step`, random numbers come only from `random`.
 */
export class PumpPlant {
  readonly #random: () => number;
  readonly #timings: PumpTimings;
  #elapsedMs = 0;
  readonly #state: State = {
    demand: 1,
    speed: 1,
    pressureBar: 4,
    flowM3h: 20,
    currentA: 9.5,
    vibrationG: 0.8,
    temperatureC: 42,
    fillWeightG: 500,
  };

  constructor(options: { readonly random: () => number; readonly timings: PumpTimings }) {
    this.#random = options.random;
    this.#timings = options.timings;
  }

  /** Advances by `stepMs` and returns the readings. Steps of 50–200 ms resolve the fastest time constant. */
  step(stepMs: number): PumpReading {
    this.#elapsedMs += stepMs;
    const condition = pumpCondition(this.#elapsedMs, this.#timings);
    this.#advance(stepMs, condition.wear, condition.cavitation);
    return this.#read(condition.phase, condition.cavitation);
  }

  #advance(stepMs: number, wear: number, cavitation: number): void {
    const state = this.#state;
    const drift = DEMAND_DEVIATION * Math.sqrt((2 * stepMs) / DEMAND_MS) * this.#noise();
    const demand = state.demand + ((1 - state.demand) * stepMs) / DEMAND_MS + drift;
    state.demand = Math.min(Math.max(demand, 1 - DEMAND_SWING_MAX), 1 + DEMAND_SWING_MAX);
    const follow = (from: number, to: number, timeMs: number) => from + (to - from) * (1 - Math.exp(-stepMs / timeMs));
    state.speed = follow(state.speed, state.demand, SPEED_MS);
    const valve = Math.sin(2 * Math.PI * VALVE_HZ * (this.#elapsedMs / 1000));
    // Affinity laws: head with the square of the speed, flow in proportion; the system reduces the head.
    const head = 4.8 * state.speed ** 2 - 0.002 * state.flowM3h ** 2;
    const surge = cavitation * 0.12 * this.#noise();
    state.pressureBar = follow(state.pressureBar, head * (1 - 0.26 * cavitation) - 0.05 * valve + surge, PRESSURE_MS);
    state.flowM3h = follow(state.flowM3h, 20 * state.speed * (1 - 0.22 * cavitation) + 0.3 * valve, FLOW_MS);
    const hydraulicKw = (state.pressureBar * state.flowM3h) / 36;
    state.currentA = follow(state.currentA, 3.2 + 2.85 * hydraulicKw + 0.25 * wear, CURRENT_MS);
    const shaking = 0.35 + 0.45 * state.speed ** 2 + 0.4 * wear ** 1.5 + 0.2 * cavitation;
    state.vibrationG = follow(state.vibrationG, shaking, VIBRATION_MS);
    state.temperatureC = follow(state.temperatureC, 32 + 1.05 * state.currentA + 1.2 * wear, TEMPERATURE_MS);
    // Bottles fill for a fixed time: pressure and flow give the weight, a warm product is thinner and lighter.
    const weight = 500 + 8 * (state.pressureBar - 4) + 2.2 * (state.flowM3h - 20) - 0.7 * (state.temperatureC - 42);
    state.fillWeightG = follow(state.fillWeightG, weight, FILL_MS);
  }

  #read(phase: PumpPhase, cavitation: number): PumpReading {
    const state = this.#state;
    return {
      phase,
      vibrationG: rounded(state.vibrationG * (1 + (0.03 + 0.05 * cavitation) * this.#noise()), 0.001),
      currentA: rounded(state.currentA + 0.05 * this.#noise(), 0.01),
      pressureBar: Math.fround(state.pressureBar + 0.012 * this.#noise()),
      flowM3h: rounded(state.flowM3h + 0.08 * this.#noise(), 0.01),
      temperatureC: rounded(state.temperatureC + 0.04 * this.#noise(), 0.01),
      running: true,
      fillWeightG: rounded(state.fillWeightG + 0.6 * this.#noise(), 0.1),
    };
  }

  #noise(): number {
    return normalDraw(this.#random);
  }
}

function rounded(value: number, resolution: number): number {
  return Math.max(0, Math.round(value / resolution) / Math.round(1 / resolution));
}
