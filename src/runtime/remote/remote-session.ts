import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { Tensors } from '../../contracts/inference.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import { batchSize, fixedBatch, runRowByRow } from '../../models/checks/batch-rows.ts';
import { proveGraph } from '../../models/checks/graph-proof.ts';
import type { HostRun, LoadedSession } from '../../contracts/model-session.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { checkFiniteInputs, checkFiniteOutputs } from '../../models/checks/tensor-check.ts';
import { inferRequest, readInferAnswer } from './infer-exchange.ts';
import type { RemoteClient } from './remote-client.ts';
import { remoteFailure } from '../../models/errors/remote-errors.ts';
import { readMetadata, type RemoteMetadata, type RemotePlace } from './remote-metadata.ts';

/** Requested outputs, in the order of the metadata. */
type Expected = Pick<RemoteMetadata, 'outputs'> & { readonly rows: number | undefined };

/** A model on a server as it was proved, and as long as it is that one. */
export class RemoteSession {
  readonly #client: RemoteClient;
  readonly #place: RemotePlace;
  readonly #metadata: RemoteMetadata;
  readonly #clock: Clock;
  #loaded: LoadedSession | undefined;
  /** The version of the first answer; undefined before it, or if the server names none. */
  #version: { readonly text: string | undefined } | undefined;

  private constructor(client: RemoteClient, place: RemotePlace, metadata: RemoteMetadata, clock: Clock) {
    this.#client = client;
    this.#place = place;
    this.#metadata = metadata;
    this.#clock = clock;
  }

  /**
   * Requests the model's metadata, compares it with the manifest, and runs the golden vectors, alone and as a batch.
   *
   * @param timeoutMs Total time of the golden runs.
   * @throws {OperatingError} 'model-load-failed', 'model-golden-mismatch', 'remote-not-ready', and the errors of
   *   `RemoteClient.ask`.
   */
  static async prove(
    client: RemoteClient,
    manifest: AnyManifest,
    { timeoutMs, clock }: { readonly timeoutMs: number; readonly clock: Clock },
  ): Promise<RemoteSession> {
    const place = placeOf(manifest);
    const session = new RemoteSession(client, place, await readMetadata(client, place), clock);
    const endMs = clock.monotonicMs() + timeoutMs;
    const finite = judgesWindows(manifest);
    const proved = await proveGraph(manifest, session.#metadata, async (inputs, batch) => {
      if (finite) checkFiniteInputs(inputs);
      const ask = (feeds: Tensors) =>
        session.#ask(feeds, { outputs: session.#metadata.outputs, rows: undefined }, endMs);
      const { outputs } = batch === undefined ? await ask(inputs) : await runRowByRow(inputs, batch, ask);
      if (finite) checkFiniteOutputs(outputs);
      return outputs;
    });
    session.#loaded = { ...proved, nodesByProvider: {}, loadMs: 0 };
    return session;
  }

  /** Result of the proof. */
  get loaded(): LoadedSession {
    if (this.#loaded === undefined)
      throw inferenceFailure('model-not-ready', `Model '${this.#place.model}' is not proved`);
    return this.#loaded;
  }

  /**
   * Runs the model and checks the answer completely.
   *
   * @param inputs Inputs with checked names, types and shapes.
   * @param finite True if NaN or infinity in inputs or outputs fails the run.
   * @param timeoutMs Total time.
   * @throws {OperatingError} The errors of `RemoteClient.ask`; 'remote-version-changed', 'model-input-invalid',
   *   'model-output-invalid'.
   */
  async run(
    { inputs, finite }: { readonly inputs: Tensors; readonly finite: boolean },
    timeoutMs: number,
  ): Promise<HostRun> {
    const endMs = this.#clock.monotonicMs() + timeoutMs;
    const { batching } = this.loaded;
    if (finite) checkFiniteInputs(inputs);
    const { outputs } = this.#metadata;
    const batch = batching === 'row-by-row' ? fixedBatch(this.#metadata.inputs) : undefined;
    const result =
      batch !== undefined
        ? await runRowByRow(inputs, batch, (rows) => this.#ask(rows, { outputs, rows: batch }, endMs))
        : await this.#ask(inputs, { outputs, rows: batching === 'rows' ? batchSize(inputs) : undefined }, endMs);
    if (finite) checkFiniteOutputs(result.outputs);
    return result;
  }

  async #ask(inputs: Tensors, expected: Expected, endMs: number): Promise<HostRun> {
    const { model, path, version } = this.#place;
    const startedMs = this.#clock.monotonicMs();
    const id = this.#client.newId();
    const { binary } = this.#metadata;
    const order = { id, path, inputs, outputs: expected.outputs.map(({ name }) => name), binary };
    const answer = await this.#client.ask(inferRequest(order), Math.max(0, endMs - startedMs));
    try {
      const result = readInferAnswer(answer, { id, model, ...expected });
      this.#checkVersion(result.version, version);
      return { outputs: result.outputs, runMs: this.#clock.monotonicMs() - startedMs };
    } catch (error) {
      // The next answer on the same connection may be the one that was due here.
      if (errorCode(error) === 'remote-answer-invalid') this.#client.forgetConnections();
      throw error;
    }
  }

  /** Rejects an answer of another version: the proof is valid for one version only. */
  #checkVersion(found: string | undefined, asked: string | undefined): void {
    const expected = asked !== undefined && found !== undefined ? { text: asked } : (this.#version ??= { text: found });
    if (found === expected.text) return;
    throw remoteFailure(
      'remote-version-changed',
      `${this.#client.origin} answered with version ${found ?? '(none)'} of '${this.#place.model}', not ${expected.text ?? '(none)'}`,
    );
  }
}

/** Returns the path of a remote model on its server. */
function placeOf({ name, remote }: AnyManifest): RemotePlace {
  const model = remote?.model ?? name;
  const version = remote?.version;
  const path = `/v2/models/${encodeURIComponent(model)}${version === undefined ? '' : `/versions/${version}`}`;
  return { model, version, path };
}
