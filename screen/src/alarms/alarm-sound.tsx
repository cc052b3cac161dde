import { effect, signal } from '@preact/signals';
import type { JSX } from 'preact';
import { unacknowledgedCount } from '../agent/plant-lamp.ts';
import { t } from '../texts/language.ts';

const STORED = 'sound';
const REPEAT_MS = 3000;

/** True if an alarm that waits makes a sound on this device. */
export const sound = signal(localStorage.getItem(STORED) === 'on');
let context: AudioContext | undefined;
let repeat: ReturnType<typeof setInterval> | undefined;

effect(() => {
  const isWanted = sound.value && unacknowledgedCount.value > 0;
  if (!isWanted) {
    clearInterval(repeat);
    repeat = undefined;
  } else if (repeat === undefined) {
    beep();
    repeat = setInterval(beep, REPEAT_MS);
  }
});

/** Two short tones. A browser plays them only after a click on the page. */
function beep(): void {
  context ??= new AudioContext();
  const { currentTime, destination } = context;
  for (const [startS, frequencyHz] of [
    [0, 880],
    [0.25, 660],
  ] as const) {
    const tone = new OscillatorNode(context, { frequency: frequencyHz });
    const volume = new GainNode(context, { gain: 0.2 });
    tone.connect(volume).connect(destination);
    tone.start(currentTime + startS);
    tone.stop(currentTime + startS + 0.2);
  }
}

export function SoundSwitch(): JSX.Element {
  return (
    <label>
      <input
        type="checkbox"
        checked={sound}
        onChange={(event) => {
          sound.value = event.currentTarget.checked;
          localStorage.setItem(STORED, sound.value ? 'on' : 'off');
        }}
      />
      {t('alarms.sound')}
    </label>
  );
}
