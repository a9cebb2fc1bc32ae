export const approvalStatuses = [
  'open',
  'approved',
  'denied',
  'expired',
  'escalated',
  'revoked',
  'consumed',
] as const;
export type ApprovalStatus = (typeof approvalStatuses)[number];

/** Those of an approval that waits for decisions. */
export const openStatuses = ['open', 'escalated'] as const;
export type OpenStatus = (typeof openStatuses)[number];

export function isOpen(status: unknown): status is OpenStatus {
  return openStatuses.includes(status as OpenStatus);
}

/** Why an approval that has ended so takes no decision any more. */
export function settledCode(
  status: Exclude<ApprovalStatus, OpenStatus>,
): 'ALREADY_DECIDED' | 'APPROVAL_EXPIRED' | 'APPROVAL_REVOKED' {
  switch (status) {
    case 'approved':
    case 'denied':
    case 'consumed':
      return 'ALREADY_DECIDED';
    case 'expired':
      return 'APPROVAL_EXPIRED';
    case 'revoked':
      return 'APPROVAL_REVOKED';
  }
}
