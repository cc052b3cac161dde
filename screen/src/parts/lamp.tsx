import type { JSX } from 'preact';
import type { Look } from '../agent/watch-look.ts';
import { word } from '../texts/language.ts';

type LampProps = {
  readonly look: Look;
  /** Share of learning that is done, 0 to 1. */
  readonly progress?: number | undefined;
};

/** The lamp of a watch. Each look has a shape of its own, so that it is clear without color. */
export function Lamp({ look, progress = 0 }: LampProps): JSX.Element {
  return (
    <svg class="lamp" data-look={look} viewBox="0 0 16 16" role="img" aria-label={word('watch', look)}>
      {shape(look, progress)}
    </svg>
  );
}

function shape(look: Look, progress: number): JSX.Element {
  switch (look) {
    case 'normal':
      return <circle class="fill" cx="8" cy="8" r="5" />;
    case 'abnormal':
      return <path class="fill" d="M8 1 15 8 8 15 1 8Z" />;
    case 'blind':
      return (
        <>
          <path class="fill" d="M8 1.5 15.5 14.5H.5Z" />
          <path class="cut" d="M8 6v4M8 11.8v1.4" />
        </>
      );
    case 'uncertain':
      return (
        <>
          <circle class="ring" cx="8" cy="8" r="6.2" />
          <path class="stroke" d="M3.8 9.2c1.4-3 2.8-3 4.2-1.2s2.8 1.8 4.2-1.2" />
        </>
      );
    case 'unknown':
      return (
        <>
          <circle class="ring dashed" cx="8" cy="8" r="6.2" />
          <path class="stroke" d="M6 6.4a2 2 0 1 1 2.9 1.8c-.6.3-.9.6-.9 1.2M8 11.2v.8" />
        </>
      );
    case 'learning':
      return (
        <>
          <circle class="ring" cx="8" cy="8" r="6" />
          <circle class="arc" cx="8" cy="8" r="3" pathLength={100} stroke-dasharray={`${100 * progress} 100`} />
        </>
      );
    case 'stale':
      return (
        <>
          <circle class="ring" cx="8" cy="8" r="6.2" />
          <path class="stroke" d="M8 4.4V8l2.6 1.6" />
        </>
      );
    case 'away':
      return (
        <>
          <circle class="ring" cx="8" cy="8" r="6.2" />
          <path class="stroke" d="M4 12 12 4" />
        </>
      );
  }
}
