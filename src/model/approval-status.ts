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

/** The statuses of an approval that waits for decisions. */
export const openStatuses = ['open', 'escalated'] as const;
export type OpenStatus = (typeof openStatuses)[number];

export function isOpen(status: unknown): status is OpenStatus {
  return openStatuses.includes(status as OpenStatus);
}

/** The error code for a decision on an approval that has ended with this status. */
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

/** Stands for a value that there is or was (arguments, a preview, a reason, a note, an output) where it cannot be read. */
export const unreadableText = '(cannot be read)';
