import type { JSX } from 'preact';
import { readJson } from '../agent/agent-api.ts';
import { Chart, type ChartData } from '../parts/chart.tsx';
import { useAnswer } from '../parts/use-answer.ts';
import { formatTime } from '../texts/format.ts';
import { t } from '../texts/language.ts';

const REFRESH_MS = 5000;
const HEIGHT = 190;

type Spectrum = { readonly step_hz: number; readonly amplitudes: readonly number[] };
type Waveform = {
  readonly tag: string;
  readonly unit: string;
  readonly timestamp_ms: number;
  readonly speed_hz: number | null;
  readonly spectrum: Spectrum;
  readonly envelope: Spectrum | null;
};

/** Spectra of the last waveforms from which the tags of a watch are calculated; nothing if there are none. */
export function SpectrumPanel({
  watch,
  tags,
}: {
  readonly watch: string;
  readonly tags: readonly string[];
}): JSX.Element {
  const { data } = useAnswer(watch, () => readWaveforms(tags), REFRESH_MS);
  return (
    <div class="tag-charts">
      {(data.value ?? []).flatMap((waveform) => [
        <SpectrumChart
          key={waveform.tag}
          title={t('machine.spectrum', { tag: waveform.tag })}
          waveform={waveform}
          spectrum={waveform.spectrum}
        />,
        waveform.envelope !== null && (
          <SpectrumChart
            key={`${waveform.tag} envelope`}
            title={t('machine.envelope', { tag: waveform.tag })}
            waveform={waveform}
            spectrum={waveform.envelope}
          />
        ),
      ])}
    </div>
  );
}

async function readWaveforms(tags: readonly string[]): Promise<readonly Waveform[]> {
  const { waveforms } = await readJson<{ readonly waveforms: readonly { readonly tag: string }[] }>(
    '/api/v1/waveforms',
  );
  const used = waveforms.filter(({ tag }) => tags.some((name) => name.startsWith(`${tag}.`)));
  return Promise.all(
    used.map(({ tag }) => readJson<Waveform>(`/api/v1/waveforms/${encodeURIComponent(tag)}/spectrum`)),
  );
}

type SpectrumChartProps = { readonly title: string; readonly waveform: Waveform; readonly spectrum: Spectrum };

/** One spectrum, with a mark at the speed of the machine. */
function SpectrumChart({ title, waveform, spectrum }: SpectrumChartProps): JSX.Element {
  const { unit, speed_hz, timestamp_ms } = waveform;
  const frequencies = spectrum.amplitudes.map((_, line) => line * spectrum.step_hz);
  const data: ChartData = [frequencies, spectrum.amplitudes];
  return (
    <section class="panel">
      <h2>
        {title} <small>{formatTime(timestamp_ms)}</small>
      </h2>
      <Chart
        label={title}
        abscissa="frequency"
        data={data}
        series={[{ label: t('machine.amplitude'), color: '--curve', unit, width: 1 }]}
        marks={speed_hz === null ? [] : [{ fromMs: speed_hz * 1000, toMs: speed_hz * 1000, color: '--low' }]}
        fromMs={0}
        toMs={(frequencies.at(-1) ?? 1) * 1000}
        height={HEIGHT}
      />
    </section>
  );
}
