import { env } from 'node:process';

/** Variables that Node, drivers and libraries need. None of them is a secret. */
const NEEDED =
  /^(PATH|HOME|USER|LANG|LC_.*|TZ|TMPDIR|LD_.*|NODE_OPTIONS|NODE_EXTRA_CA_CERTS|NODE_COMPILE_CACHE|NODE_DISABLE_COMPILE_CACHE|NODE_V8_COVERAGE|SSL_CERT_.*|ORT_.*|CUDA.*|CUDNN.*|NVIDIA_.*|OMP_.*|MKL_.*|OPENBLAS_.*|VK_.*|DAWN_.*|XDG_.*|MALLOC_.*|GLIBC_TUNABLES)$/;

/**
 * Returns the environment of a child process that needs no secret.
 *
 * ONNX Runtime's Linux builds, since 1.29, report models and machine to their maker unless this variable is set before they
 * are loaded.
 */
export function childEnvironment(): NodeJS.ProcessEnv {
  return { ...filtered((name) => NEEDED.test(name)), ORT_DISABLE_TELEMETRY: '1' };
}

/**
 * Returns the environment without the variables that a part of the configuration names as secrets: `{ env: NAME }`.
 *
 * @param sections Parts of the configuration that the child process has nothing to do with.
 */
export function environmentWithout(sections: unknown): NodeJS.ProcessEnv {
  const secrets = secretNames(sections);
  return filtered((name) => !secrets.has(name));
}

function filtered(keeps: (name: string) => boolean): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => keeps(name)));
}

function secretNames(value: unknown): ReadonlySet<string> {
  if (typeof value !== 'object' || value === null) return new Set();
  const names = Object.entries(value).flatMap(([key, item]) =>
    key === 'env' && typeof item === 'string' ? [item] : [...secretNames(item)],
  );
  return new Set(names);
}
