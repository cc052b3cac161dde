import { reject, retry } from '../../platform/errors.ts';
import type { ErrorCatalogue } from '../../platform/errors.ts';

export const inferenceErrors = {
  'model-not-ready': retry(
    'The model is loading, it failed, or its host was lost and no new one was there within the deadline; its windows become unknown verdicts.',
    'See the component model/<name> in /healthz for the reason.',
  ),
  'inference-queue-full': retry(
    'models.maxQueuedRuns runs of watches, or models.limits.<name>.maxQueue requests of clients, were waiting already.',
    'Ask less often, lengthen the hop of the watches, or use smaller models.',
  ),
  'host-crashed': retry(
    'The inference host ended while the run was under way. It is started again by itself.',
    'The reason (signal, last words) is in the health of `inference`; a model that does it often is quarantined.',
  ),
  'inference-timeout': retry(
    'A run took longer than models.deadline, and the host was killed and is started again by itself; or it waited as long behind other runs, and was not begun.',
    'Raise models.deadline, use a smaller model, or give the machine more time.',
  ),
  'too-many-models': reject(
    'models.maxServed models are loaded for clients already.',
    'Unload one that nobody asks for, or raise models.maxServed.',
  ),
  'model-in-use': reject(
    'A watch uses the model, so a client cannot unload it.',
    'Take it out of the watches in the configuration first.',
  ),
  'model-input-invalid': reject(
    'The inputs do not fit the graph: a name, type, shape or length is wrong, there are more rows than maxBatch, or a value of a watch is not finite.',
    'Compare with `andon models show NAME`; the message names the input.',
  ),
  'model-output-invalid': reject(
    'The model gave NaN or infinity; the window becomes an unknown verdict.',
    'Check the tags against the ranges the model was trained on; train it anew if they are right.',
  ),
  'model-run-failed': reject(
    'ONNX Runtime refused the run or failed in it.',
    'The message is ONNX Runtime’s own; `andon models verify NAME` tells whether the model still works.',
  ),
  'model-load-failed': reject(
    'ONNX Runtime could not load the graph, or the graph does not do what model.yaml says.',
    'Export or train the model again.',
  ),
  'model-file-invalid': reject(
    'model.onnx or model.yaml is missing, too large, outside the model directory, not what its SHA-256 says, or refers to other files.',
    'Install the model again from where it came; put the weights inside the graph. A graph that came alone needs a model.yaml of five lines, which the message gives.',
  ),
  'model-untrusted': reject(
    'models.trust is set, and the version is not signed by one of its keys, or is not what was signed: a file was altered, added or taken away. It is not used.',
    'The message names the key or the file. Get the version again from where it came; or, once you know it to be good, sign it (`andon models sign`) with a trusted key. See docs/signing.md.',
  ),
  'signing-key-invalid': reject(
    'The file is not a key that can sign or verify models, or it cannot be read.',
    'Ed25519, or ECDSA on P-256, P-384 or P-521, in PEM: `andon models keygen FILE` makes a pair. Who signs needs FILE, models.trust.keys has FILE.pub.',
  ),
  'signing-key-not-written': reject(
    'A new key pair could not be written, or would have replaced a file.',
    'Name another file; a key that may still be needed is never overwritten.',
  ),
  'signature-not-written': retry(
    'model.sig could not be written beside the model. An older signature is still there.',
    'Sign as a user who may write to the folder of the version and the folder above it.',
  ),
  'model-too-large': reject(
    'With the version in it, its host would take more memory than models.maxMemory or models.hosts.<host>.maxMemory, so it does not take over.',
    'Raise the setting that the message names, use a smaller model, or give it a host of its own.',
  ),
  'model-golden-mismatch': reject(
    'The model no longer gives the outputs that model.yaml expects for its golden vectors, so it is not used.',
    'Roll back to the version before; if the model is right, write new golden vectors.',
  ),
  'model-no-previous': reject(
    'A rollback was asked for, and the model has had no other active version.',
    "Name the version: 'andon models activate NAME@VERSION'.",
  ),
  'model-rollback-refused': reject(
    'A version on probation was found bad, and could not be rolled back: it is pinned, or there is no sound version before it. Or a rollback was asked for, and a rollout had rejected the version before.',
    "Choose a version yourself: 'andon models activate NAME@VERSION'.",
  ),
  'provider-unavailable': retry(
    'An execution provider marked `required: true` cannot be used, or none of the list can.',
    'Install what the message names (driver, library), or allow a fallback.',
  ),
} as const satisfies ErrorCatalogue;

export type InferenceErrorCode = keyof typeof inferenceErrors;
