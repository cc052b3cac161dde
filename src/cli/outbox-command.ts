import type { Output } from './output.ts';
export type OutboxOptions = { readonly config: string; readonly json?: boolean };
export async function outboxStatsCommand(_options: OutboxOptions, output: Output): Promise<number> { output.out('pending'); return 1; }
export async function outboxExportCommand(_options: OutboxOptions & { readonly from?: number }, output: Output): Promise<number> { output.out('pending'); return 1; }
