import { refusal, type Refusal } from './refusal.js';
import type { Caller } from './caller.js';

interface CallerRules {
  /** The caller is refused without it; absent: what the caller may see or do is judged case by case. */
  readonly permission?: string;
  /** Agents and systems are refused, whatever permissions they hold. */
  readonly humansOnly?: true;
  /** A service that acts for a human may use it: to read what waits, and to decide it one by one. It is refused everywhere else. */
  readonly delegated?: true;
}

/**
 * What each use case requires of its caller, by whichever door. A door may check it before it reads the request; the use case
 * checks it in any case.
 */
const useCases = {
  publishFlow: { permission: 'flow.publish' },
  checkFlow: {},
  listFlows: { permission: 'flow.read' },
  getFlow: { permission: 'flow.read' },
  getFlowVersion: { permission: 'flow.read' },
  withdrawFlow: { permission: 'flow.publish' },
  diffFlow: { permission: 'flow.read' },
  listWarnings: { permission: 'run.operate' },
  reloadPolicies: { permission: 'policy.reload' },
  startRun: { permission: 'run.start' },
  listRuns: {},
  getRun: {},
  cancelRun: { permission: 'run.operate' },
  retryRun: { permission: 'run.operate' },
  submitTransition: { permission: 'run.start' },
  getAction: {},
  listViews: {},
  getView: {},
  saveView: {},
  deleteView: {},
  decideBatch: {},
  approvalStats: {},
  listApprovals: { delegated: true },
  getApproval: { delegated: true },
  decideApproval: { delegated: true },
  getDecision: { delegated: true },
  claimApproval: {},
  releaseApproval: {},
  delegateApproval: {},
  getAbsence: {},
  setAbsence: {},
  clearAbsence: {},
  makeLink: {},
  listLinks: {},
  revokeLink: {},
  auditRun: {},
  audit: { permission: 'audit.read' },
  auditEntry: { permission: 'audit.read' },
  reconstructRun: {},
  runHistory: {},
  replayRun: { permission: 'audit.read' },
  events: {},
  whoami: { delegated: true },
  createKey: { permission: 'key.manage', humansOnly: true },
  listKeys: { permission: 'key.manage' },
  revokeKey: { permission: 'key.manage', humansOnly: true },
  listSigningKeys: {},
  rotateSigningKey: { permission: 'key.manage', humansOnly: true },
  retireSigningKey: { permission: 'key.manage', humansOnly: true },
} as const satisfies Readonly<Record<string, CallerRules>>;

export type UseCase = keyof typeof useCases;

export const useCaseNames = Object.keys(useCases) as readonly UseCase[];

/** The use case of this name; null: there is none. */
export function useCaseOf(name: string): UseCase | null {
  return useCaseNames.find((useCase) => useCase === name) ?? null;
}

/** What a use case requires. For null, what is no use case, only callers that act for somebody else are refused. */
export function rulesOf(useCase: UseCase | null): CallerRules {
  return useCase === null ? {} : useCases[useCase];
}

/** Why this caller may not use this use case at all; null: it may. */
export function refuseCaller(
  { principal }: Pick<Caller, 'principal'>,
  useCase: UseCase | null,
): Refusal | null {
  const { permission, humansOnly = false, delegated = false } = rulesOf(useCase);
  const { id, kind, actedBy, permissions } = principal;
  if (actedBy !== undefined && !delegated)
    return refusal(
      'FORBIDDEN',
      `\`${actedBy}\` acts for \`${id}\`: it may read approvals and decide them one by one, and nothing else`,
      { why: 'acts_for_another' },
    );
  if (permission !== undefined && !permissions.includes(permission))
    return refusal('FORBIDDEN', `this needs the permission \`${permission}\``, { permission });
  if (humansOnly && kind !== 'human')
    return refusal('HUMANS_ONLY', `only a human may do this; \`${id}\` is of kind ${kind}`);
  return null;
}
