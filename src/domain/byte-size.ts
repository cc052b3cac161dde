const UNIT_BYTES: Readonly<Record<string, number>> = { B: 1, kB: 1e3, KB: 1e3, MB: 1e6, GB: 1e9 };

/** Format of a size in the configuration: `64kB`, `512MB`, `2GB` (powers of ten). */
export const byteSizePattern = /^(\d+(?:\.\d+)?)(B|kB|KB|MB|GB)$/;

/** Returns bytes, or undefined if the text is not a size. */
export function parseByteSize(text: string): number | undefined {
  const match = byteSizePattern.exec(text);
  const unitBytes = UNIT_BYTES[match?.[2] ?? ''];
  return match === null || unitBytes === undefined ? undefined : Math.floor(Number(match[1]) * unitBytes);
}

/** Formats a size for display: 1500000 → '1.5 MB'. */
export function formatByteSize(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  if (bytes >= 1e3) return `${(bytes / 1e3).toFixed(1)} kB`;
  return `${bytes} B`;
}
