import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { errorCatalogues, metricCatalogues, type Titled } from '../src/app/catalogue.ts';
import { configJsonSchema } from '../src/config/config-json-schema.ts';
import { processMetrics } from '../src/cli/output/process-metrics.ts';
import { durationBuckets, type MetricCatalogue } from '../src/platform/metrics.ts';
import { unknownReasons } from '../src/domain/alarm/unknown-reasons.ts';
import { qualityRemedies } from '../src/domain/sample/quality-remedies.ts';
import { cell, configurationDocs } from './configuration-docs.ts';

/*
 * Writes the generated docs: `npm run docs`. A test fails if one of them is stale.
 */

const root = resolve(import.meta.dirname, '..');

/** Paths from the root of the repository, and their content. */
export function generatedDocs(): ReadonlyMap<string, string> {
  const example = readFileSync(join(root, 'config/andon.yaml'), 'utf8');
  return new Map([
    ['docs/configuration.md', made(configurationDocs(example))],
    ['docs/errors.md', made(errorDocs())],
    ['docs/metrics.md', made(metricDocs())],
    ['docs/quality.md', made(qualityDocs())],
    ['docs/andon.schema.json', `${JSON.stringify(configJsonSchema(), undefined, 2)}\n`],
  ]);
}

function made(markdown: string): string {
  return `<!-- Made by scripts/make-docs.ts (npm run docs); do not edit. -->\n\n${markdown}`;
}

function errorDocs(): string {
  const sections = errorCatalogues.map(({ title, catalogue }) => {
    const entries = Object.entries(catalogue).map(([errorCode, { disposition, meaning, remedy }]) => {
      const kind = disposition === 'retry' ? 'andon tries again' : 'the same again would fail again';
      return `### ${errorCode}\n\n${meaning}\n\n*${disposition}: ${kind}.* **What to do:** ${remedy}\n`;
    });
    return `## ${title}\n\n${entries.join('\n')}`;
  });
  return `# Errors

Each error has a stable code, used as a label of metrics and in the reasons of the health report. \`retry\` means that andon
goes on trying by itself; \`reject\` that trying the same again is no use.

${sections.join('\n')}`;
}

function metricDocs(): string {
  const catalogues: readonly Titled<MetricCatalogue>[] = [
    ...metricCatalogues,
    { title: 'Process', catalogue: processMetrics },
  ];
  const sections = catalogues.map(({ title, catalogue }) => {
    const rows = Object.entries(catalogue).map(([name, { type, labels, help, buckets }]) => {
      const labelText = labels.map((label) => `\`${label}\``).join(', ');
      const own = buckets === undefined ? '' : ` Buckets: ${buckets.join(', ')}.`;
      return `| \`${name}\` | ${type} | ${labelText} | ${cell(help)}${own} |`;
    });
    return `## ${title}\n\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  return `# Metrics

\`GET /metrics\` in Prometheus' text format. Durations are in seconds, sizes in bytes, counters end in \`_total\`. Histograms have
the buckets ${durationBuckets.join(', ')} s unless others are listed.

${sections.join('\n')}`;
}

function qualityDocs(): string {
  const qualityRows = Object.entries(qualityRemedies).map(
    ([reason, { quality, cause, remedy }]) => `| \`${reason}\` | ${quality} | ${cell(cause)} | ${cell(remedy)} |`,
  );
  const unknownRows = unknownReasons.map(
    ({ code, text, cause, remedy }) => `| \`${text}\` | \`${code}\` | ${cell(cause)} | ${cell(remedy)} |`,
  );
  return `# Quality of values, and verdicts that are unknown

Each value has a quality, as in OPC: \`good\`, \`uncertain\` or \`bad\`. Models judge \`good\` values only. A value that is not good has a reason, which the
API, the dashboard and the reasons of verdicts show. The health of the source names the tags whose content is not good, with the value found.

## Reasons of a value

| reason | quality | cause | remedy |
| --- | --- | --- | --- |
${qualityRows.join('\n')}

## Reasons of an unknown verdict

A window that cannot be judged gets the verdict \`unknown\`. Capitals stand for changing parts. \`reason_code\` has the code, and \`reason_parameters\` the changing parts, for programs and translations. If a model [estimates missing tags](training.md#missing-tags), the reason of its verdict is \`estimated from the other tags:\` and one of the first three.

| reason | code | cause | remedy |
| --- | --- | --- | --- |
${unknownRows.join('\n')}
| another text | none | The run of the model failed; the text is that of the error. | See [errors.md](errors.md), and \`andon status\` at \`inference\` and \`model/NAME\`. |
`;
}

if (import.meta.main) for (const [path, text] of generatedDocs()) writeFileSync(join(root, path), text);
