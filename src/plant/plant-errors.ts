import type { ErrorCatalogue } from '../platform/errors.ts';

export const plantErrors = {
  'modbus-listen-failed': {
    disposition: 'retry',
    meaning: 'The simulated Modbus device can not listen on its port.',
    remedy: 'Another program has the port, or it is below 1024 and needs privileges: choose another port.',
  },
  'plant-exited': {
    disposition: 'retry',
    meaning: 'The process of the simulated plant ended by itself.',
    remedy: 'Its last words are on standard error; start it again.',
  },
  'csv-unreadable': {
    disposition: 'reject',
    meaning: 'The CSV file does not exist or can not be read.',
    remedy: 'Check path and permissions; the message holds the operating system’s reason.',
  },
  'csv-empty': {
    disposition: 'reject',
    meaning: 'The CSV file has no header, or no row after it.',
    remedy: 'Export it again, with a header line.',
  },
  'csv-header-invalid': {
    disposition: 'reject',
    meaning: 'The header lacks a column that was asked for, names one twice, or has too many.',
    remedy: 'The message lists what the header has; name the time column with --time, others with --columns.',
  },
  'csv-line-too-long': {
    disposition: 'reject',
    meaning: 'A line is longer than any row of a historian.',
    remedy: 'The file is not a CSV, has no line breaks, or has an open quotation mark; the message names the line.',
  },
  'csv-row-invalid': {
    disposition: 'reject',
    meaning: 'A row has more or fewer cells than the header.',
    remedy: 'Mend or remove the line that the message names; a file still being written ends in half a row.',
  },
  'csv-value-invalid': {
    disposition: 'reject',
    meaning: 'A cell that should hold a number or a time holds something else.',
    remedy: 'The message names line, column and text. Missing values may be empty, NaN, null, bad or n/a.',
  },
} as const satisfies ErrorCatalogue;
