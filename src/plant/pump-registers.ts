import type { PumpReading } from './pump-plant.ts';
import { putFloat32, putScaled16, type RegisterImage } from './register-image.ts';

/**
 * Registers of the pump's PLC, with each kind that a real device mixes:
 *
 * - holding 0–1 pressure, float32 ABCD, bar; holding 4–5 fill weight of the check weigher, float32 ABCD, g
 * - input 10 current, int16, 0.01 A; input 11 flow, uint16, 0.01 m3/h; input 12 temperature, int16, 0.01 °C
 * - discrete 3 running; coil 0 the start command
 *
 * Vibration is not among them: the bearing's sensor publishes it over MQTT.
 */
export function pumpRegisters(reading: PumpReading): RegisterImage {
  const holding = new Uint16Array(6);
  putFloat32(holding, 0, reading.pressureBar);
  putFloat32(holding, 4, reading.fillWeightG);
  const input = new Uint16Array(13);
  putScaled16(input, 10, reading.currentA, { type: 'int16', scale: 0.01 });
  putScaled16(input, 11, reading.flowM3h, { type: 'uint16', scale: 0.01 });
  putScaled16(input, 12, reading.temperatureC, { type: 'int16', scale: 0.01 });
  const running = reading.running ? 1 : 0;
  return { holding, input, coils: Uint8Array.of(running), discretes: Uint8Array.of(0, 0, 0, running) };
}
