/** `pump-anomaly` (the active version) or `pump-anomaly@3`. */
export type ModelReference = { readonly name: string; readonly version: number | undefined };

export const modelReferencePattern = /^([a-z0-9][a-z0-9._-]{0,63})(?:@([1-9]\d{0,8}))?$/;

/** Returns the reference, or undefined if the text is neither `name` nor `name@version`. */
export function parseModelReference(text: string): ModelReference | undefined {
  const match = modelReferencePattern.exec(text);
  if (match?.[1] === undefined) return undefined;
  return { name: match[1], version: match[2] === undefined ? undefined : Number(match[2]) };
}

/** Formats a reference as in the configuration: `pump-anomaly` or `pump-anomaly@3`. */
export function formatModelReference(model: ModelReference): string {
  return model.version === undefined ? model.name : `${model.name}@${model.version}`;
}
