/** Returns the first names, and the number of the others: `a, b and 3 more`. */
export function nameSome(names: readonly string[], namedMax = 5): string {
  const shown = names.slice(0, namedMax).join(', ');
  return names.length > namedMax ? `${shown} and ${names.length - namedMax} more` : shown;
}
