import type { Quality, QualityReason } from './quality.ts';

/** Why a value has a reason, and what a user can do. */
export type QualityRemedy = {
  readonly quality: Exclude<Quality, 'good'> | 'as marked';
  readonly cause: string;
  readonly remedy: string;
};

/** Every quality reason but 'none'; docs/quality.md is made from it. */
export const qualityRemedies: Readonly<Record<Exclude<QualityReason, 'none'>, QualityRemedy>> = {
  'not-read-yet': {
    quality: 'bad',
    cause: 'The tag has had no value since the start.',
    remedy:
      'Wait for the first scan or message. If it stays, check the address, the topic or the metric: `andon status`.',
  },
  'out-of-range': {
    quality: 'uncertain',
    cause: 'The value is outside the `range` of the tag.',
    remedy: 'Check the sensor, then `range`, `scale`, `type` and `byteOrder` of the tag.',
  },
  'not-finite': {
    quality: 'bad',
    cause: 'The value is NaN or infinite, or too large for float32. Devices send NaN for a broken sensor.',
    remedy: 'Check the sensor. If every value is affected, check `type` and `byteOrder`.',
  },
  'precision-lost': {
    quality: 'uncertain',
    cause: 'The integer has more digits than a double can hold (beyond 2^53).',
    remedy: 'Read a smaller counter, or send differences.',
  },
  timeout: {
    quality: 'bad',
    cause: 'The Modbus unit did not answer within `timeout`, also after `retries`.',
    remedy:
      'Check power, cable, unit id and baud rate. Raise `timeout` for a slow device or gateway. A gateway that does not answer the first requests of a connection needs `pauseAfterConnect`.',
  },
  refused: {
    quality: 'bad',
    cause: 'The device refuses the register (Modbus exception), the broker the topic, or the OPC UA server the node.',
    remedy:
      'Check the address and the register type, or the rights of the user on the broker. Health names the address or the topic.',
  },
  'garbled-answer': {
    quality: 'bad',
    cause: 'The answer had a wrong checksum, length, unit or function.',
    remedy: 'Check wiring, termination and shielding, and that only one master uses the line. Health shows the bytes.',
  },
  'link-down': {
    quality: 'bad',
    cause: 'There is no connection to the device, gateway or broker.',
    remedy: 'Check network, port and login. The source reconnects; health has the reason.',
  },
  'unit-set-aside': {
    quality: 'bad',
    cause: 'The Modbus unit failed repeatedly and is asked less often, so that it does not slow its neighbours.',
    remedy: 'Repair the unit. It is read again as soon as it answers.',
  },
  'payload-invalid': {
    quality: 'bad',
    cause: 'The message has no number where the tag expects one: no JSON, a missing or ambiguous value, null, a text.',
    remedy:
      'Health shows the value found. Fix `value`, set `map` for texts, or `missing: keep` for messages that have only what changed.',
  },
  'time-invalid': {
    quality: 'uncertain',
    cause:
      'The message has no time, or one before the year 2000, or without a zone. The value is stamped at its arrival. A retained message without a time is of unknown age.',
    remedy: 'Health shows the time found. Set `time`, `timeUnit` or `timeZone`, or the clock of the sender.',
  },
  'time-in-future': {
    quality: 'uncertain',
    cause: 'The time of the value is further ahead than `futureTolerance`. The value is stamped at its arrival.',
    remedy: 'Synchronise the clocks of the sender and of the box, or raise `futureTolerance`.',
  },
  'source-stopped': {
    quality: 'bad',
    cause: 'The source was stopped.',
    remedy: 'None: the value returns when the source runs again.',
  },
  'clock-jumped': {
    quality: 'bad',
    cause: 'The clock of the box was set while the value was held.',
    remedy: 'Let a time service slew the clock instead of setting it.',
  },
  stuck: {
    quality: 'uncertain',
    cause: 'The value has not changed by more than `stuckBand` for `stuckAfter`.',
    remedy: 'Check the sensor. Raise `stuckAfter` or lower `stuckBand` for a value that may be constant.',
  },
  'marked-not-good': {
    quality: 'as marked',
    cause: 'The sender marks the value as bad or uncertain, or its quality is unknown, which is uncertain.',
    remedy:
      'Health shows the quality found. Check the device behind the sender; `qualityCodes` sets the meaning of small numbers.',
  },
  'device-offline': {
    quality: 'bad',
    cause: 'The Sparkplug edge node or device has sent its death, or a new birth without the metric.',
    remedy: 'Check the edge node. Its next birth makes the tags good.',
  },
  'sequence-lost': {
    quality: 'bad',
    cause: 'Messages of the Sparkplug edge node were lost, so its last values may be missing.',
    remedy: 'Set `rebirth: true` to request a birth, or wait for the next one. Check the load of the broker.',
  },
  'not-available': {
    quality: 'bad',
    cause: 'The device sent a code that stands for "not available" (`invalid` of the tag or source).',
    remedy: 'Check the sensor or the mode of the device.',
  },
  'not-available?': {
    quality: 'uncertain',
    cause: 'The raw value equals a code by which many devices report "not available", and `invalid` is not set.',
    remedy: 'Set `invalid: sunspec`, `sma`, `abb` or the raw code; `invalid: none` if the value is real.',
  },
  'waveform-short': {
    quality: 'bad',
    cause: 'The waveform of the feature has fewer samples than `samplesMin`.',
    remedy: 'Send longer waveforms, or lower `samplesMin` if the frequencies of the features allow it.',
  },
  'waveform-dropped': {
    quality: 'bad',
    cause:
      'More waveforms arrive than features can be calculated from (`waveforms.maxWaiting`), or the thread that calculates them ended.',
    remedy: 'Send fewer or shorter waveforms. The health of `waveforms` has the cause.',
  },
  'speed-unknown': {
    quality: 'bad',
    cause:
      'The band of the feature is in orders, and the speed is not good, or so low or high that the waveform has no frequency there.',
    remedy: 'Check the tag that the key `speed` of the waveform names.',
  },
};
