import { BAD, GOOD } from '../../domain/sample/quality.ts';
import type { WaveformFault } from '../waveform-channel.ts';
import { singleValue } from './json-path.ts';
import { decodeJsonValue } from './payload-decode.ts';
import { type Arrival, at, type Item, markOf, shown, stampOf } from './payload-stamp.ts';
import type { WaveformPlan } from './topic-plan.ts';

/** Hands the waveform of a message to its channel. @returns Why it has no features, or why they are not good. */
export function decodeWaveform(
  { channel, reading }: WaveformPlan,
  item: Item,
  arrival: Arrival,
): WaveformFault | undefined {
  const named = (fault: WaveformFault | undefined) =>
    fault === undefined ? undefined : { ...fault, text: `${channel.name}: ${fault.text}` };
  const stamp = stampOf(reading, item, arrival);
  const mark = markOf(reading, item);
  const found = reading.value === undefined ? item.document : singleValue(reading.value, item.document);
  if (!Array.isArray(found)) {
    channel.fail('payload-invalid', stamp.timeMs);
    const text =
      item.error === undefined
        ? `expected a list of numbers${at(reading.value)}, found ${shown(found)}`
        : `the payload is not JSON: ${item.error}`;
    return named({ reason: 'payload-invalid', text });
  }
  const samples = Float64Array.from(found as readonly unknown[], (value) => {
    const raw = decodeJsonValue(value, undefined) ?? Number.NaN;
    return raw * reading.scale + reading.offset;
  });
  const worse = mark.quality === BAD || (mark.quality !== GOOD && stamp.quality === GOOD) ? mark : stamp;
  const fault = channel.accept(samples, { ...worse, timeMs: stamp.timeMs });
  const marked = worse.fault === undefined ? undefined : { reason: worse.reason, text: worse.fault };
  return named(fault ?? marked);
}
