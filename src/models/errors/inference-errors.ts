import { type ErrorCatalogue, reject, retry } from '../../platform/errors.ts';

export const inferenceErrors = {
  'model-not-ready': retry(
    'The model is loading or has failed, or its host ended and no new host was ready within the deadline. Its windows become unknown verdicts.',
    'See the component model/<name> in /healthz for the reason.',
  ),
  'inference-queue-full': retry(
    'models.maxQueuedRuns runs of watches, or models.limits.<name>.maxQueue requests of clients, are waiting already.',
    'Send fewer requests, lengthen the hop of the watches, or use smaller models.',
  ),
  'host-crashed': retry(
    'The inference host ended during the run. It is restarted automatically.',
    'The reason (signal, last output) is in the health of `inference`. A model that crashes its host repeatedly is quarantined.',
  ),
  'inference-timeout': retry(
    'A run took longer than models.deadline, so the host was killed and restarted; or the run waited that long for other runs and did not start.',
    'Raise models.deadline, use a smaller model, or use a faster machine.',
  ),
  'too-many-models': reject(
    'models.maxServed models are loaded for clients already.',
    'Unload a model that is not used, or raise models.maxServed.',
  ),
  'model-in-use': reject(
    'A watch uses the model, so a client cannot unload it.',
    'Remove it from the watches in the configuration first.',
  ),
  'model-input-invalid': reject(
    'The inputs do not match the graph: a name, type, shape or length is wrong, there are more rows than maxBatch, or a value of a watch is not finite.',
    'Compare with `andon models show NAME`. The message names the input.',
  ),
  'model-output-invalid': reject(
    'The model gave NaN or infinity. The window becomes an unknown verdict.',
    'Compare the tags with the ranges of the training. If they are correct, train the model again.',
  ),
  'model-run-failed': reject(
    'ONNX Runtime refused the run or failed during it.',
    'The message is from ONNX Runtime. `andon models verify NAME` checks whether the model still works.',
  ),
  'model-load-failed': reject(
    'ONNX Runtime could not load the graph, or the graph does not match model.yaml.',
    'The message has the key of model.yaml or the option of the exporter that helps; docs/your-own-model.md has recipes. Otherwise export or train the model again.',
  ),
  'model-file-invalid': reject(
    'model.onnx or model.yaml is missing, too large, outside the model directory, has another SHA-256, or refers to other files.',
    'Install the model again from its source, with the weights inside the graph. For a graph without model.yaml, the message has the smallest model.yaml.',
  ),
  'model-absent': reject(
    'No version of the model is active in models.directory.',
    'A watch without an active version learns one from its history (watches.<id>.learn). `andon models list` shows the versions; activate or install one.',
  ),
  'model-untrusted': reject(
    'models.trust is set, and the version is not signed by one of its keys, or a file was changed, added or removed after the signature. The version is not used.',
    'The message names the key or the file. Get the version again from its source. If it is known to be good, sign it with a trusted key (`andon models sign`). See docs/signing.md.',
  ),
  'signing-key-invalid': reject(
    'The file is not a key that can sign or verify models, or it cannot be read.',
    'Use Ed25519, or ECDSA on P-256, P-384 or P-521, in PEM. `andon models keygen FILE` creates a pair: FILE to sign, FILE.pub for models.trust.keys.',
  ),
  'signing-key-not-written': reject(
    'A new key pair could not be written, or the file exists already.',
    'Use another file name. Existing keys are never overwritten.',
  ),
  'signature-not-written': retry(
    'model.sig could not be written. An older signature is unchanged.',
    'Sign as a user with write access to the folder of the version and its parent folder.',
  ),
  'model-too-large': reject(
    'With this version, its host would need more memory than models.maxMemory or models.hosts.<host>.maxMemory, so the version is not used.',
    'Raise the setting in the message, use a smaller model, or give the model a host of its own.',
  ),
  'model-golden-mismatch': reject(
    'The model does not give the outputs of the golden vectors in model.yaml, so it is not used.',
    'Roll back to the previous version. If the model is correct, write new golden vectors.',
  ),
  'model-no-previous': reject(
    'A rollback was requested, but the model has no previous version.',
    'Activate a version by its number: `andon models activate NAME@VERSION`.',
  ),
  'model-rollback-refused': reject(
    'A version failed during probation, but it is pinned or has no usable previous version. Or a rollback was requested to a version that a rollout had rejected.',
    'Choose a version: `andon models activate NAME@VERSION`.',
  ),
  'provider-unavailable': retry(
    'An execution provider with `required: true` cannot be used, or no provider of the list can.',
    'Install what the message names (driver, library), or allow a fallback.',
  ),
} as const satisfies ErrorCatalogue;
