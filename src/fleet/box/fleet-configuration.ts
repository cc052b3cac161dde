import { isMap, parseDocument } from 'yaml';
import { fleetFailure } from '../fleet-errors.ts';

/**
 * Sections that a box keeps from its own file: who it is, what moves machines, who may do what, and which models are trusted.
 * A text of the fleet that has one of them is checked against the box, which refuses a change.
 */
const localPaths: readonly (readonly string[])[] = [
  ['agent'],
  ['fleet'],
  ['outputs'],
  ['http'],
  ['serving'],
  ['audit'],
  ['models', 'trust'],
  ['models', 'directory'],
  ['outbox', 'path'],
];

/** A name between `${` and `}`. */
const VARIABLE = /\$\{([^}]*)\}/g;

export type FleetText = {
  /** Configuration for many boxes. */
  readonly text: string;
  /** Values of `${name}`. */
  readonly variables: Readonly<Record<string, string>>;
  /** Configuration file of this box as it is. */
  readonly local: string;
};

/**
 * Returns the configuration of a box: the text of the fleet with the values of this box, and the sections of the box itself.
 *
 * @throws {OperatingError} 'fleet-configuration-refused'.
 */
export function boxConfiguration({ text, variables, local }: FleetText): string {
  const missing = new Set<string>();
  const filled = text.replace(VARIABLE, (_whole, name: string) => {
    if (Object.hasOwn(variables, name)) return variables[name] ?? '';
    missing.add(name);
    return '';
  });
  if (missing.size > 0)
    throw refused(
      `The variables ${[...missing].join(', ')} have no value. Set them in fleet.variables of the box, or for the box with andon fleet desired --set`,
    );
  const [document, own] = [parseDocument(filled), parseDocument(local)];
  const [problem] = document.errors;
  if (problem !== undefined) throw refused(`The text is not YAML: ${problem.message}`);
  if (!isMap(document.contents)) throw refused('The text has no sections');
  for (const path of localPaths)
    // A section that the text has itself stays, so that the check finds a difference.
    if (!document.hasIn(path) && own.hasIn(path)) document.setIn(path, own.getIn(path, true));
  return document.toString({ lineWidth: 0 });
}

function refused(message: string): Error {
  return fleetFailure('fleet-configuration-refused', message);
}
