import { env } from 'node:process';

/** Variables that Node, drivers and libraries need. None of them is a secret. On Windows, names have any case. */
const NEEDED =
  /^(PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_.*|TZ|TZDIR|TMPDIR|TEMP|TMP|LD_.*|NODE_OPTIONS|NODE_EXTRA_CA_CERTS|NODE_USE_SYSTEM_CA|NODE_COMPILE_CACHE|NODE_DISABLE_COMPILE_CACHE|NODE_V8_COVERAGE|UV_THREADPOOL_SIZE|SSL_CERT_.*|ORT_.*|CUDA_.*|CUDNN_.*|CUBLAS_.*|NVIDIA_.*|OMP_.*|KMP_.*|GOMP_.*|MKL_.*|OPENBLAS_.*|VK_.*|MESA_.*|DRI_PRIME|DAWN_.*|XDG_.*|MALLOC_.*|GLIBC_TUNABLES|SYSTEMROOT|WINDIR|SYSTEMDRIVE|COMSPEC|PATHEXT|APPDATA|LOCALAPPDATA|PROGRAMDATA|USERPROFILE)$/i;
/** For a process that sends HTTP requests. The URL of a proxy may contain a password. */
const FOR_HTTP = /^(HTTPS?_PROXY|NO_PROXY)$/i;
/** Names of the first list that look like one of a secret, such as CUDA_TOKEN. */
const SECRET = /TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY/i;

/**
 * Returns the environment of a child process that needs no secret.
 *
 * ONNX Runtime's Linux builds, since 1.29, report models and machine to their maker unless this variable is set before they
 * are loaded.
 */
export function childEnvironment(): NodeJS.ProcessEnv {
  return { ...filtered((name) => NEEDED.test(name) && !SECRET.test(name)), ORT_DISABLE_TELEMETRY: '1' };
}

/**
 * Returns the environment of a child process that sends HTTP requests: that of the others, proxies, and its own secrets.
 *
 * @param sections Parts of the configuration that the process uses, with its secrets: `{ env: NAME }`.
 * @param names More variables.
 */
export function environmentWithSecrets(sections: unknown, names: readonly string[]): NodeJS.ProcessEnv {
  const own = new Set([...secretNames(sections), ...names]);
  return { ...filtered((name) => own.has(name) || FOR_HTTP.test(name)), ...childEnvironment() };
}

function filtered(keeps: (name: string) => boolean): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => keeps(name)));
}

function secretNames(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    key === 'env' && typeof item === 'string' ? [item] : secretNames(item),
  );
}
