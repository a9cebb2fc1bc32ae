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
