import type { LiveEvent, TagReading } from '../../contracts/live-events.ts';
import type { AlarmTransition } from '../../domain/alarm/alarm.ts';
import type { Verdict } from '../../domain/alarm/verdict.ts';
import type { PumpPhase } from '../../plant/pump-scenario.ts';

/** Counts of a demo, for its summary and for `--json`. */
export type StoryCounts = {
  verdicts: Record<Verdict['verdict'], number>;
  alarmsRaised: number;
  alarmsAcknowledged: number;
  alarmsCleared: number;
};

const PHASES: Readonly<Record<PumpPhase, string>> = {
  normal: 'the pump runs as it should',
  'bearing-wear': 'the bearing begins to wear',
  cavitation: 'the worn pump cavitates: pressure breaks down',
  recovering: 'bearing changed, strainer flushed',
};

/** Tags that tell the story, in the order in which they are shown. */
const SHOWN_TAGS = ['pump-1.vibration', 'pump-1.current', 'pump-1.pressure', 'pump-1.flow'];
const BARS = '▁▂▃▄▅▆▇█';
const SPARKLINE_LENGTH = 24;
const CODES = { red: 31, green: 32, amber: 33, faint: 2, bold: 1 } as const;

/** Turns live events into lines for a user at a terminal. */
export class DemoStory {
  readonly counts: StoryCounts = {
    verdicts: { normal: 0, abnormal: 0, uncertain: 0, unknown: 0 },
    alarmsRaised: 0,
    alarmsAcknowledged: 0,
    alarmsCleared: 0,
  };
  readonly #say: (line: string) => void;
  readonly #elapsedMs: () => number;
  readonly #color: boolean;
  readonly #readings = new Map<string, TagReading>();
  readonly #scores: number[] = [];

  constructor(options: {
    readonly say: (line: string) => void;
    readonly elapsedMs: () => number;
    readonly color: boolean;
  }) {
    this.#say = options.say;
    this.#elapsedMs = options.elapsedMs;
    this.#color = options.color;
  }

  phase(phase: PumpPhase): void {
    this.#line('plant', this.#paint('bold', PHASES[phase]));
  }

  note(who: string, text: string): void {
    this.#line(who, text);
  }

  take(event: LiveEvent): void {
    switch (event.type) {
      case 'tags':
        for (const reading of event.tags) this.#readings.set(reading.tag, reading);
        return;
      case 'verdict':
        this.counts.verdicts[event.verdict.verdict] += 1;
        if (event.verdict.watch === 'pump-1') this.#score(event.verdict);
        return;
      case 'alarm':
        this.#alarm(event.transition);
        return;
      case 'watch':
    }
  }

  /** One line of tags and score; called every few seconds. */
  beat(): void {
    const tags = SHOWN_TAGS.map((tag) => {
      const reading = this.#readings.get(tag);
      const name = tag.slice('pump-1.'.length);
      if (reading?.value === undefined) return `${name} –`;
      return `${name} ${reading.value.toFixed(2)} ${reading.unit}`;
    });
    this.#line(
      'pump-1',
      `${tags.join('  ')}  ${this.#paint('faint', 'score')} ${this.#sparkline()} ${(this.#scores.at(-1) ?? 0).toFixed(2)}`,
    );
  }

  #score(verdict: Verdict): void {
    if (verdict.score === undefined) return;
    this.#scores.push(verdict.score);
    if (this.#scores.length > SPARKLINE_LENGTH) this.#scores.shift();
  }

  #alarm(transition: AlarmTransition): void {
    const { alarm, state, previous, message, priority, cause, by } = transition;
    const watch = transition.watch ?? alarm;
    if (state === 'unacknowledged' && cause !== 'shelving-ended') {
      this.counts.alarmsRaised += 1;
      this.#line(watch, `${this.#paint('red', `ALARM (${priority})`)} ${message}`);
    } else if (cause === 'acknowledged') {
      this.counts.alarmsAcknowledged += 1;
      this.#line(watch, `${this.#paint('amber', 'acknowledged')} by ${by ?? 'an operator'}`);
    } else if (cause === 'returned-to-normal') {
      this.counts.alarmsCleared += 1;
      this.#line(watch, `${this.#paint('green', 'alarm cleared')}: ${message}`);
    } else this.#line(watch, `alarm ${previous} → ${state}`);
  }

  /** Scores against the threshold of 1: a full bar is twice the threshold. */
  #sparkline(): string {
    const bars = this.#scores.map((score) => {
      const level = Math.min(BARS.length - 1, Math.max(0, Math.floor((score / 2) * BARS.length)));
      return this.#paint(score > 1 ? 'red' : 'green', BARS[level] ?? '');
    });
    return bars.join('');
  }

  #line(who: string, text: string): void {
    const seconds = Math.floor(this.#elapsedMs() / 1000);
    const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
    this.#say(`${time.padStart(5)}  ${who.padEnd(9)} ${text}`);
  }

  #paint(code: keyof typeof CODES, text: string): string {
    return this.#color ? `\u001b[${CODES[code]}m${text}\u001b[0m` : text;
  }
}
