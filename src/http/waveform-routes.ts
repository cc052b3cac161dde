import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { AmplitudeSpectrum, WaveformViews } from '../contracts/waveforms/waveform-analysis.ts';
import { errorJson } from '../web/http-errors.ts';

const spectrumJson = z.object({
  step_hz: z.number().describe('Distance of the lines; the first is at 0 Hz'),
  amplitudes: z.array(z.number()).describe('Peak amplitude of each line, in the unit of the waveform'),
});

const waveformJson = z.object({
  tag: z.string(),
  unit: z.string(),
  timestamp_ms: z.number(),
  sample_rate: z.number().describe('Samples a second'),
  samples: z.number(),
  speed_hz: z.number().nullable().describe('Speed of the machine; null if it is not configured or not good'),
  spectrum: spectrumJson,
  envelope: spectrumJson.nullable().describe('Spectrum of the envelope; null without a feature of this type'),
});

/** `GET /api/v1/waveforms`: the spectrum of the last waveform of each tag. */
export function registerWaveforms(
  instance: FastifyInstance,
  { waveforms }: { readonly waveforms: WaveformViews },
): void {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/waveforms',
    {
      schema: {
        summary: 'Tags that have had a waveform since the start',
        response: { 200: z.object({ waveforms: z.array(z.object({ tag: z.string(), timestamp_ms: z.number() })) }) },
      },
    },
    () => ({
      waveforms: waveforms.tags().flatMap((tag) => {
        const view = waveforms.view(tag);
        return view === undefined ? [] : [{ tag, timestamp_ms: view.timeMs }];
      }),
    }),
  );
  app.get(
    '/api/v1/waveforms/:tag/spectrum',
    {
      schema: {
        summary: 'Spectrum of the last waveform of a tag',
        description: 'At most 1,025 lines. Each stands for the largest of its neighbours, so that no line disappears.',
        params: z.object({ tag: z.string() }),
        response: { 200: waveformJson, 404: errorJson },
      },
    },
    async ({ params: { tag } }, reply) => {
      const view = waveforms.view(tag);
      if (view === undefined)
        return reply.code(404).send({ error: `There is no waveform of a tag '${tag}' since the start` });
      return {
        tag,
        unit: view.unit,
        timestamp_ms: view.timeMs,
        sample_rate: view.sampleRate,
        samples: view.samples,
        speed_hz: view.speedHz ?? null,
        spectrum: toJson(view.spectrum),
        envelope: view.envelope === undefined ? null : toJson(view.envelope),
      };
    },
  );
}

function toJson({ stepHz, amplitudes }: AmplitudeSpectrum): z.infer<typeof spectrumJson> {
  return { step_hz: stepHz, amplitudes: [...amplitudes] };
}
