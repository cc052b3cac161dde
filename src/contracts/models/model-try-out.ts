import type { ModelReference } from '../../domain/model/model-reference.ts';
import type { AnyManifest } from '../model-manifest.ts';
import type { ExactModel } from '../model-registry.ts';
import type { TensorSpec, Tensors } from '../inference.ts';

/** Values of each input, as in a golden vector of model.yaml. */
export type TryOutInputs = AnyManifest['golden'][number]['inputs'];

/** Result of one run of a version outside of its watches. */
export type TryOutResult = ExactModel & {
  readonly provider: string;
  /** Time of `session.run`. */
  readonly runMs: number;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: Tensors;
  /** Undefined for a model that judges no windows. */
  readonly judgement:
    | { readonly score: number; readonly threshold: number; readonly verdict: 'normal' | 'abnormal' }
    | undefined;
};

/** Runs any installed version once, also one that is not active, apart from everything that judges. */
export interface ModelTryOuts {
  /**
   * @param model Without a version: the active one.
   * @throws {OperatingError} 'model-version-unknown', 'model-absent', 'model-input-invalid', 'model-output-invalid', 'model-run-failed' and
   *   the errors of the proof (reject); 'models-busy', 'inference-timeout', 'host-crashed' (retry).
   */
  run(model: ModelReference, inputs: TryOutInputs): Promise<TryOutResult>;
}
