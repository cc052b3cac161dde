import type { ModbusEndpoint } from '../../../protocols/modbus/modbus-url.ts';
import { BODY_HEADER_BYTES } from './answer-body.ts';
import { asciiFrameLength } from './ascii-frame.ts';
import { answerDataBytes, READ_PDU_BYTES, type ReadRequest } from './read-pdu.ts';
import { RTU_ANSWER_OVERHEAD_BYTES, RTU_REQUEST_BYTES } from './rtu-frame.ts';

/** Silence between RTU frames, in characters; at least 1.75 ms. */
const SILENCE_CHARACTERS = 3.5;
const SILENCE_MS_MIN = 1.75;
/** Minimum pause that lets a gateway keep this silence on its own line. */
const GATEWAY_PAUSE_MS = 2;
/** Start bit; RTU has eight data bits, also behind a gateway. */
const START_BITS = 1;
const DATA_BITS = 8;
/** Estimated processing time of a device on a serial line; simple devices take 2–20 ms. */
const TURNAROUND_MS = 5;
/**
 * Estimated time of one request over TCP: network round trip and the device's own cycle. Small PLCs take 1–10 ms;
 * `andon_modbus_request_duration_seconds` has the measured time.
 */
const TCP_REQUEST_MS = 2;

/**
 * Time that request and response take on the serial line; 0 if there is no serial line or its baud rate is unknown.
 *
 * Behind a gateway ten bits a character are assumed, because its parity is unknown.
 */
export function wireMs(endpoint: ModbusEndpoint, request: ReadRequest): number {
  if (endpoint.baudRate === undefined) return 0;
  return frameCharacters(endpoint, request) * characterMs(endpoint, endpoint.baudRate);
}

/** Minimum silence between a response and the next request. */
export function silenceMs(endpoint: ModbusEndpoint): number {
  if (endpoint.medium === 'serial') return lineSilenceMs(endpoint, endpoint.baudRate);
  return endpoint.framing === 'mbap' ? 0 : GATEWAY_PAUSE_MS;
}

/**
 * Time that one request occupies a link: its frames, the silence around them, the device's time and the pause.
 * @param inFlight Requests that share a round trip over TCP.
 */
export function requestMs(endpoint: ModbusEndpoint, request: ReadRequest, pauseMs: number, inFlight = 1): number {
  const networkMs = endpoint.medium === 'tcp' ? TCP_REQUEST_MS / inFlight : 0;
  if (endpoint.baudRate === undefined) return networkMs + pauseMs;
  const silence = lineSilenceMs(endpoint, endpoint.baudRate);
  return networkMs + wireMs(endpoint, request) + silence + TURNAROUND_MS + Math.max(silence, pauseMs);
}

/** Returns the length of request and response. A line behind a gateway for Modbus TCP has RTU frames. */
function frameCharacters({ framing }: ModbusEndpoint, request: ReadRequest): number {
  const dataBytes = answerDataBytes(request);
  if (framing !== 'ascii') return RTU_REQUEST_BYTES + RTU_ANSWER_OVERHEAD_BYTES + dataBytes;
  return asciiFrameLength(1 + READ_PDU_BYTES) + asciiFrameLength(BODY_HEADER_BYTES + dataBytes);
}

function lineSilenceMs(endpoint: ModbusEndpoint, baudRate: number): number {
  return Math.max(SILENCE_MS_MIN, SILENCE_CHARACTERS * characterMs(endpoint, baudRate));
}

function characterMs(endpoint: ModbusEndpoint, baudRate: number): number {
  const parityBits = endpoint.medium === 'serial' && endpoint.parity !== 'none' ? 1 : 0;
  const stopBits = endpoint.medium === 'serial' ? endpoint.stopBits : 1;
  const dataBits = endpoint.medium === 'serial' ? endpoint.dataBits : DATA_BITS;
  return ((START_BITS + dataBits + parityBits + stopBits) * 1000) / baudRate;
}
