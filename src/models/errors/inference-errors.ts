import type { ErrorCatalogue } from '../../platform/errors.ts';

export const inferenceErrors = {
  'model-not-ready': {
    disposition: 'retry',
    meaning:
      'The model is loading or has failed, or its host ended and no new host was ready within the deadline. Its windows become unknown verdicts.',
    remedy: 'See the component model/<name> in /healthz for the reason.',
  },
  'inference-queue-full': {
    disposition: 'retry',
    meaning:
      'models.maxQueuedRuns runs of watches, or models.limits.<name>.maxQueue requests of clients, are waiting already.',
    remedy: 'Send fewer requests, lengthen the hop of the watches, or use smaller models.',
  },
  'host-crashed': {
    disposition: 'retry',
    meaning: 'The inference host ended during the run. It is restarted automatically.',
    remedy:
      'The reason (signal, last output) is in the health of `inference`. A model that crashes its host repeatedly is quarantined.',
  },
  'inference-timeout': {
    disposition: 'retry',
    meaning:
      'A run took longer than models.deadline, so the host was killed and restarted; or the run waited that long for other runs and did not start.',
    remedy: 'Raise models.deadline, use a smaller model, or use a faster machine.',
  },
  'too-many-models': {
    disposition: 'reject',
    meaning: 'models.maxServed models are loaded for clients already.',
    remedy: 'Unload a model that is not used, or raise models.maxServed.',
  },
  'model-in-use': {
    disposition: 'reject',
    meaning: 'A watch uses the model, so a client cannot unload it.',
    remedy: 'Remove it from the watches in the configuration first.',
  },
  'model-input-invalid': {
    disposition: 'reject',
    meaning:
      'The inputs do not match the graph: a name, type, shape or length is wrong, there are more rows than maxBatch, or a value of a watch is not finite.',
    remedy: 'Compare with `andon models show NAME`. The message names the input.',
  },
  'model-output-invalid': {
    disposition: 'reject',
    meaning: 'The model gave NaN or infinity. The window becomes an unknown verdict.',
    remedy: 'Compare the tags with the ranges of the training. If they are correct, train the model again.',
  },
  'model-run-failed': {
    disposition: 'reject',
    meaning: 'ONNX Runtime refused the run or failed during it.',
    remedy: 'The message is from ONNX Runtime. `andon models verify NAME` checks whether the model still works.',
  },
  'model-load-failed': {
    disposition: 'reject',
    meaning: 'ONNX Runtime could not load the graph, or the graph does not match model.yaml.',
    remedy: 'Export or train the model again.',
  },
  'model-file-invalid': {
    disposition: 'reject',
    meaning:
      'model.onnx or model.yaml is missing, too large, outside the model directory, has another SHA-256, or refers to other files.',
    remedy:
      'Install the model again from its source, with the weights inside the graph. For a graph without model.yaml, the message has the smallest model.yaml.',
  },
  'model-untrusted': {
    disposition: 'reject',
    meaning:
      'models.trust is set, and the version is not signed by one of its keys, or a file was changed, added or removed after the signature. The version is not used.',
    remedy:
      'The message names the key or the file. Get the version again from its source. If it is known to be good, sign it with a trusted key (`andon models sign`). See docs/signing.md.',
  },
  'signing-key-invalid': {
    disposition: 'reject',
    meaning: 'The file is not a key that can sign or verify models, or it cannot be read.',
    remedy:
      'Use Ed25519, or ECDSA on P-256, P-384 or P-521, in PEM. `andon models keygen FILE` creates a pair: FILE to sign, FILE.pub for models.trust.keys.',
  },
  'signing-key-not-written': {
    disposition: 'reject',
    meaning: 'A new key pair could not be written, or the file exists already.',
    remedy: 'Use another file name. Existing keys are never overwritten.',
  },
  'signature-not-written': {
    disposition: 'retry',
    meaning: 'model.sig could not be written. An older signature is unchanged.',
    remedy: 'Sign as a user with write access to the folder of the version and its parent folder.',
  },
  'model-too-large': {
    disposition: 'reject',
    meaning:
      'With this version, its host would need more memory than models.maxMemory or models.hosts.<host>.maxMemory, so the version is not used.',
    remedy: 'Raise the setting in the message, use a smaller model, or give the model a host of its own.',
  },
  'model-golden-mismatch': {
    disposition: 'reject',
    meaning: 'The model does not give the outputs of the golden vectors in model.yaml, so it is not used.',
    remedy: 'Roll back to the previous version. If the model is correct, write new golden vectors.',
  },
  'model-no-previous': {
    disposition: 'reject',
    meaning: 'A rollback was requested, but the model has no previous version.',
    remedy: 'Activate a version by its number: `andon models activate NAME@VERSION`.',
  },
  'model-rollback-refused': {
    disposition: 'reject',
    meaning:
      'A version failed during probation, but it is pinned or has no usable previous version. Or a rollback was requested to a version that a rollout had rejected.',
    remedy: 'Choose a version: `andon models activate NAME@VERSION`.',
  },
  'provider-unavailable': {
    disposition: 'retry',
    meaning: 'An execution provider with `required: true` cannot be used, or no provider of the list can.',
    remedy: 'Install what the message names (driver, library), or allow a fallback.',
  },
} as const satisfies ErrorCatalogue;

export type InferenceErrorCode = keyof typeof inferenceErrors;
