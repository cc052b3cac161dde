import { durationBuckets, histogram, type MetricCatalogue } from '../../platform/metrics.ts';

export const grpcMetrics = {
  andon_grpc_request_duration_seconds: histogram(
    'Time from the start of a gRPC call to its end, by method and status.',
    ['method', 'status'],
    durationBuckets,
  ),
} as const satisfies MetricCatalogue;
