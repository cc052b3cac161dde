import * as ort from 'onnxruntime-node';

/* The child of the bare route: one session and one run for each message, in order. */

const [modelFile = ''] = process.argv.slice(2);
const session = await ort.InferenceSession.create(modelFile, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
});

process.on('disconnect', () => process.exit(0));
process.on('message', ({ shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array }) => {
  void session.run({ window: new ort.Tensor('float32', data, shape) }).then(({ score }) => process.send?.(score?.data));
});
process.send?.('ready');
