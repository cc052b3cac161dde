import { availableParallelism, loadavg } from 'node:os';

/**
 * Factor of times that a machine must keep up with: 1 if it has free cores, up to 20 on a busy one. The load is the average
 * of the last minute.
 */
export const loadPace = Math.min(20, Math.max(1, Math.ceil((1.5 * (loadavg()[0] ?? 0)) / availableParallelism())));
