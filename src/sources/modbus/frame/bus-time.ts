import type { ModbusEndpoint } from './modbus-url.ts';
import type { ReadRequest } from './read-pdu.ts';
import { answerDataBytes } from './read-pdu.ts';
import { RTU_ANSWER_OVERHEAD_BYTES, RTU_REQUEST_BYTES } from './rtu-frame.ts';

/** Frames of RTU are parted by the time of this many characters, or by 1.75 ms where that is longer. */
const SILENCE_CHARACTERS = 3.5;
const SILENCE_MS_MIN = 1.75;
/** Least pause for a gateway to keep that silence on its own line. */
const GATEWAY_PAUSE_MS = 2;
/** Start bit, data bits. */
const CHARACTER_BITS = 9;
/** Guess of the time that a device on a serial line thinks about an answer; simple ones take 2–20 ms. */
const TURNAROUND_MS = 5;
/**
 * Guess of what one request costs over TCP: network round trip, and the device's own cycle, which most
 * answer in. Small PLCs take 1–10 ms; `andon_modbus_request_duration_seconds` has the real figure.
 */
const TCP_REQUEST_MS = 2;

/**
 * Time that the frames of a read take on the serial line; 0 where there is none, or it is not known.
 *
 * Behind a gateway ten bits a character are reckoned with: what parity it uses, only the gateway knows.
 */
export function wireMs(endpoint: ModbusEndpoint, request: ReadRequest): number {
  if (endpoint.baudRate === undefined) return 0;
  const bytes = RTU_REQUEST_BYTES + RTU_ANSWER_OVERHEAD_BYTES + answerDataBytes(request);
  return bytes * characterMs(endpoint, endpoint.baudRate);
}

/** Least silence between an answer and the next request. */
export function silenceMs(endpoint: ModbusEndpoint): number {
  if (endpoint.medium === 'serial') return lineSilenceMs(endpoint, endpoint.baudRate);
  return endpoint.framing === 'rtu' ? GATEWAY_PAUSE_MS : 0;
}

/** What one request costs a link: its frames, the silences around them, the device's own time, and the pause. */
export function requestMs(endpoint: ModbusEndpoint, request: ReadRequest, pauseMs: number): number {
  const networkMs = endpoint.medium === 'tcp' ? TCP_REQUEST_MS : 0;
  if (endpoint.baudRate === undefined) return networkMs + pauseMs;
  const silence = lineSilenceMs(endpoint, endpoint.baudRate);
  return networkMs + wireMs(endpoint, request) + silence + TURNAROUND_MS + Math.max(silence, pauseMs);
}

function lineSilenceMs(endpoint: ModbusEndpoint, baudRate: number): number {
  return Math.max(SILENCE_MS_MIN, SILENCE_CHARACTERS * characterMs(endpoint, baudRate));
}

function characterMs(endpoint: ModbusEndpoint, baudRate: number): number {
  const parityBits = endpoint.medium === 'serial' && endpoint.parity !== 'none' ? 1 : 0;
  const stopBits = endpoint.medium === 'serial' ? endpoint.stopBits : 1;
  return ((CHARACTER_BITS + parityBits + stopBits) * 1000) / baudRate;
}
