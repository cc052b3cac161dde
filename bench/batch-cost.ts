import * as ort from 'onnxruntime-node';
import { servePeer } from './peer.ts';
import { median } from './statistics.ts';
import { WIDE_COLUMNS } from './wide-model.ts';
import { machineMs } from './workload.ts';

/* Cost of a batch in the runtime alone, in single runs of the same graph; measured in turn, under the same load of the machine. */

const PAIRS = 50;

export type BatchCostProtocol = {
  readonly measure: {
    readonly params: { readonly modelFile: string; readonly rows: number };
    readonly result: number;
  };
};

servePeer<BatchCostProtocol>({
  measure: async ({ modelFile, rows }) => {
    const session = await ort.InferenceSession.create(modelFile, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
    });
    const run = async (count: number): Promise<number> => {
      const data = Float32Array.from({ length: count * WIDE_COLUMNS }, (_, index) => Math.sin(index));
      const fromMs = machineMs();
      await session.run({ window: new ort.Tensor('float32', data, [count, WIDE_COLUMNS]) });
      return machineMs() - fromMs;
    };
    const ratios: number[] = [];
    for (let pair = 0; pair < PAIRS; pair += 1) {
      const aloneMs = await run(1);
      ratios.push((await run(rows)) / aloneMs);
    }
    return median(ratios);
  },
});
