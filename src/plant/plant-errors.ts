import { type ErrorCatalogue, failures, reject, retry } from '../platform/errors.ts';

export const plantErrors = {
  'modbus-listen-failed': retry(
    'The simulated Modbus device cannot listen on its port.',
    'Another program has the port, or it is below 1024 and needs privileges: choose another port.',
  ),
  'plant-exited': retry(
    'The process of the simulated plant ended unexpectedly.',
    'Its last output is on standard error. Start it again.',
  ),
  'csv-unreadable': reject(
    'The CSV file does not exist or cannot be read.',
    'Check path and permissions; the message holds the operating system’s reason.',
  ),
  'csv-empty': reject('The CSV file has no header, or no row after it.', 'Export it again, with a header line.'),
  'csv-header-invalid': reject(
    'The header lacks a requested column, names one twice, or has too many.',
    'The message lists the columns of the header. Name the time column with --time, others with --columns, and the line of the header with --header-line.',
  ),
  'csv-line-too-long': reject(
    'A line is longer than any row of a historian.',
    'The file is not a CSV, has no line breaks, or has an open quotation mark; the message names the line.',
  ),
  'csv-row-invalid': reject(
    'A row has more or fewer cells than the header.',
    'Fix or remove the line in the message. A file that is still being written may end in half a row.',
  ),
  'csv-value-invalid': reject(
    'A cell is not a number or a time, or it can be read in two ways.',
    'The message names line, column, text and the option that decides: --decimal, --time-unit, --time-zone, --date-order or --missing. See docs/csv.md.',
  ),
} as const satisfies ErrorCatalogue;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const plantFailure = failures(plantErrors);
