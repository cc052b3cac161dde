import { tokenHeaders } from '../agent/agent-api.ts';

/**
 * Sends a file with POST. Only XMLHttpRequest reports how much was sent.
 *
 * @param onProgress Receives the share that was sent, 0 to 1.
 * @returns Text of the answer.
 * @throws {Error} With the agent's own text if it refuses the file.
 */
export function upload(
  path: string,
  file: File,
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', path);
    for (const [name, value] of Object.entries(tokenHeaders())) request.setRequestHeader(name, value);
    request.setRequestHeader('content-type', 'application/gzip');
    request.upload.addEventListener('progress', ({ loaded, total }) => onProgress(total === 0 ? 1 : loaded / total));
    request.upload.addEventListener('load', () => onProgress(1));
    request.addEventListener('load', () => {
      if (request.status < 300) resolve(request.responseText);
      else reject(new Error(refusal(request)));
    });
    for (const event of ['error', 'abort', 'timeout'])
      request.addEventListener(event, () => reject(new Error(`The connection ended: ${event}`)));
    signal.addEventListener('abort', () => request.abort(), { once: true });
    request.send(file);
  });
}

function refusal({ status, responseText }: XMLHttpRequest): string {
  try {
    return (JSON.parse(responseText) as { readonly error: string }).error;
  } catch {
    return `HTTP ${status}`;
  }
}
