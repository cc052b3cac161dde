import { errorCode, errorMessage } from '../platform/errors.ts';
import { AuditKey } from '../registry/audit/audit-key.ts';
import { type CheckContext, error, type Finding } from './config-finding.ts';

/** Checks the key of the audit logs. One that cannot be read is no problem here: only the service may have it. */
export function auditFindings({ config: { audit } }: CheckContext): readonly Finding[] {
  if (audit === undefined) return [];
  try {
    AuditKey.read(audit);
    return [];
  } catch (problem) {
    return errorCode(problem) === 'audit-key-invalid' ? [error(['audit', 'key'], errorMessage(problem))] : [];
  }
}
