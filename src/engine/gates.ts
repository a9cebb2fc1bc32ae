import type { Principal } from '../model/principal.js';
import type { Gate, Transition } from './plan.js';
import type { ApprovalState, Kit } from './state.js';
import { verdictOf, type GuardContext } from './guards.js';

/** The gate of a `human` executor: its own roles, else its queue's. */
function humanGate(roles: readonly string[], queue: string | null): Gate {
  return {
    on: null,
    roles,
    queue,
    quorum: { count: 1, perRole: [] },
    separation: { requester: true, author: false, promoter: false },
    reason: 'optional',
    timeout: null,
    because: ['the executor is a human'],
  };
}

/** Strictest of both: every rule of either applies. */
export function strictest(a: Gate, b: Gate): Gate {
  const { roles, each } = bothRoles(a.roles, b.roles);
  const perRole = [...a.quorum.perRole, ...b.quorum.perRole, ...each.map((role) => ({ role, count: 1 }))];
  return {
    on: null,
    roles,
    queue: a.queue ?? b.queue,
    quorum: { count: Math.max(a.quorum.count, b.quorum.count), perRole },
    separation: {
      requester: a.separation.requester || b.separation.requester,
      author: a.separation.author || b.separation.author,
      promoter: a.separation.promoter || b.separation.promoter,
    },
    reason: a.reason === 'required' || b.reason === 'required' ? 'required' : 'optional',
    ...(a.direct === 'required' || b.direct === 'required' ? { direct: 'required' as const } : {}),
    timeout: stricterTimeout(a.timeout, b.timeout),
    because: [...a.because, ...b.because],
  };
}

/** Roles that satisfy both gates. Where none does, one approval of every role that either names. */
function bothRoles(
  a: readonly string[],
  b: readonly string[],
): { readonly roles: readonly string[]; readonly each: readonly string[] } {
  if (a.length === 0 || b.length === 0) return { roles: a.length === 0 ? b : a, each: [] };
  const shared = a.filter((role) => b.includes(role));
  return shared.length > 0 ? { roles: shared, each: [] } : { roles: [...a, ...b], each: [...a, ...b] };
}

function stricterTimeout(a: Gate['timeout'], b: Gate['timeout']): Gate['timeout'] {
  if (a === null || b === null) return a ?? b;
  const rank = { deny: 0, escalate: 1, approve: 2 } as const;
  if (rank[a.action] !== rank[b.action]) return rank[a.action] < rank[b.action] ? a : b;
  return a.afterMs <= b.afterMs ? a : b;
}

/** The gate that applies to this submit, or null. An error in `on` means that it applies. */
export function gateFor(transition: Transition, at: GuardContext): Gate | null {
  const human =
    transition.executor?.kind === 'human'
      ? humanGate(transition.executor.roles, transition.executor.queue)
      : null;
  const own = transition.gate !== null && applies(transition.gate, at) ? transition.gate : null;
  if (own !== null && human !== null) return strictest(own, human);
  return own ?? human;
}

function applies(gate: Gate, at: GuardContext): boolean {
  return gate.on === null || verdictOf(gate.on, at) !== 'fail';
}

/** Where gate and executor name no role, the queue's; where there are none either, the permission decides. */
export function gateRoles(gate: Gate, kit: Kit): readonly string[] {
  if (gate.roles.length > 0 || gate.queue === null) return gate.roles;
  return kit.queueRoles(gate.queue);
}

export type MayDecide =
  | { readonly status: 'yes' }
  | {
      readonly status: 'no';
      readonly why: 'not_human' | 'not_direct' | 'requester' | 'role_missing' | 'already_decided';
      readonly message: string;
    };

/** Who may decide this approval now (SEMANTICS §6): one function for every door. */
export function mayDecide(approval: ApprovalState, principal: Principal): MayDecide {
  if (principal.kind !== 'human') {
    return {
      status: 'no',
      why: 'not_human',
      message: `only a human decides; \`${principal.id}\` is of kind ${principal.kind}`,
    };
  }
  if (approval.gate.direct === 'required' && principal.actedBy !== undefined) {
    return {
      status: 'no',
      why: 'not_direct',
      message: `this gate asks for the human itself; \`${principal.actedBy}\` acts for \`${principal.id}\``,
    };
  }
  if (approval.gate.separation.requester && approval.requesters.includes(principal.id)) {
    return {
      status: 'no',
      why: 'requester',
      message: `\`${principal.id}\` asked for this action and may not decide it`,
    };
  }
  const roles = approval.roles;
  if (
    roles.length > 0
      ? !roles.some((role) => principal.roles.includes(role))
      : !principal.permissions.includes('approval.decide')
  ) {
    const wants =
      roles.length > 0
        ? `one of the roles ${roles.map((role) => `\`${role}\``).join(', ')}`
        : 'the permission `approval.decide`';
    return { status: 'no', why: 'role_missing', message: `deciding this takes ${wants}` };
  }
  if (approval.decisions.some((one) => one.by.id === principal.id)) {
    return {
      status: 'no',
      why: 'already_decided',
      message: `\`${principal.id}\` has already decided this approval`,
    };
  }
  return { status: 'yes' };
}

/** Distinct approving humans, in total and for each role that has a share of its own. */
export function quorumReached(approval: ApprovalState): boolean {
  const approved = approval.decisions.filter((one) => one.decision === 'approve');
  const distinct = new Map(approved.map((one) => [one.by.id, one.roles]));
  const enough = distinct.size >= approval.gate.quorum.count;
  return (
    enough &&
    approval.gate.quorum.perRole.every(
      ({ role, count }) => [...distinct.values()].filter((roles) => roles.includes(role)).length >= count,
    )
  );
}
