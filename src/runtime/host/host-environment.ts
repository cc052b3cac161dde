import { childEnvironment } from '../../platform/child-environment.ts';
import { gpuLibraryFolder } from '../session/onnx-runtime-folder.ts';

/** Returns the environment of an inference host: the loader finds the CUDA libraries of `andon gpu install` first. */
export function hostEnvironment(): NodeJS.ProcessEnv {
  const environment = childEnvironment();
  const folder = gpuLibraryFolder();
  if (folder === undefined) return environment;
  const others = environment['LD_LIBRARY_PATH'];
  return { ...environment, LD_LIBRARY_PATH: others === undefined ? folder : `${folder}:${others}` };
}
