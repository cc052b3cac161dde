/** Roles, each with the rights of the roles before it. */
export const roles = ['viewer', 'operator', 'engineer', 'admin'] as const;
export type Role = (typeof roles)[number];

/** What a request may do, with the lowest role that may do it. docs/security.md has the same table; a test compares them. */
export const permissions = {
  /** Status, values, verdicts, alarms, history, metrics. */
  view: 'viewer',
  /** Run a model. */
  infer: 'viewer',
  /** Acknowledge, shelve and unshelve alarms; record notes and labelled periods. */
  operate: 'operator',
  /** Install, train, activate, roll back, pin, remove, load and unload models. */
  models: 'engineer',
  /** Change the configuration, and read registers and topics for it. */
  configure: 'engineer',
  /** Read the log, send delivered records again. */
  maintain: 'engineer',
  /** See users, tokens and sessions, end sessions, download backups. */
  administer: 'admin',
} as const satisfies Readonly<Record<string, Role>>;
export type Permission = keyof typeof permissions;

export function mayDo(role: Role, permission: Permission): boolean {
  return roles.indexOf(role) >= roles.indexOf(permissions[permission]);
}
