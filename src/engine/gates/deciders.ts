import type { Principal } from '../../model/principal.js';
import { joinFirst } from '../../model/values/text.js';
import type { Gate } from '../plan.js';
import type { ApprovalState, Excluded, GateState, Kit } from '../state.js';

// Who decides: at one gate of an approval, and at any of its gates.

export interface Deciders {
  /** Whoever holds one of these decides. */
  readonly roles: readonly string[];
  /** Whoever holds `approval.decide` decides. Without roles and without this, nobody does. */
  readonly byPermission: boolean;
}

/**
 * The gate's roles, else those of its queue as they are now; without either, whoever has the permission. Where policies
 * declare queues and not this one, it has been taken away, and nobody decides.
 */
export function decidersOf({ roles, queue }: Pick<Gate, 'roles' | 'queue'>, kit: QueueKit): Deciders {
  const named = roles.length > 0 || queue === null ? roles : kit.queueRoles(queue);
  return { roles: named ?? [], byPermission: named?.length === 0 };
}

/** The same for an open gate. Where its queue named roles when the gate opened, and names none now, nobody decides. */
export function decidersNow({ rule, added = [], byPermission }: GateState, kit: QueueKit): Deciders {
  const now = decidersOf(rule, kit);
  return {
    roles: [...new Set([...now.roles, ...added])],
    byPermission: byPermission && now.byPermission,
  };
}

type QueueKit = Pick<Kit, 'queueRoles'>;
type Deciding = Pick<ApprovalState, 'gates' | 'decisions' | 'requesters'>;

export type MayDecide =
  | { readonly status: 'yes' }
  | {
      readonly status: 'no';
      readonly why:
        'not_human' | 'not_direct' | 'requester' | Excluded['why'] | 'role_missing' | 'already_decided';
      readonly message: string;
    };
type Refused = Extract<MayDecide, { status: 'no' }>;

/** May this principal decide the approval now, at one of its gates at least (docs/spec/semantics.md §6)? One function for every door. */
export function mayDecide(approval: Deciding, principal: Principal, kit: QueueKit): MayDecide {
  if (principal.kind !== 'human') {
    return {
      status: 'no',
      why: 'not_human',
      message: `only a human decides; \`${principal.id}\` is of kind ${principal.kind}`,
    };
  }
  const refused: Refused[] = [];
  for (const index of approval.gates.keys()) {
    const why = refusalAt(approval, index, principal, kit);
    if (why === null) return { status: 'yes' };
    refused.push(why);
  }
  return mostTelling(refused) ?? roleMissing(approval, kit);
}

/** The gates that a decision of this human counts for, by index. */
export function gatesDecidedBy(approval: Deciding, principal: Principal, kit: QueueKit): readonly number[] {
  return [...approval.gates.keys()].filter((index) => mayDecideAt(approval, index, principal, kit));
}

export function mayDecideAt(approval: Deciding, index: number, principal: Principal, kit: QueueKit): boolean {
  return principal.kind === 'human' && refusalAt(approval, index, principal, kit) === null;
}

/**
 * Does a decision of this person take a reason? To approve, where any of the gates for which it counts asks for a reason; to
 * deny, only where all of them do, since a denial at any gate ends the approval.
 */
export function wantsReason(
  approval: Deciding,
  principal: Principal,
  decision: 'approve' | 'deny',
  kit: QueueKit,
): boolean {
  const asks = gatesDecidedBy(approval, principal, kit).map(
    (index) => approval.gates[index]?.rule.reason !== 'optional',
  );
  return decision === 'approve' ? asks.includes(true) : !asks.includes(false);
}

/** The refusal to tell, of those at several gates. Undefined: a role is missing at all of them, which is told of all together. */
function mostTelling(refused: readonly Refused[]): Refused | undefined {
  return (
    refused.find(({ why }) => why === 'already_decided') ?? refused.find(({ why }) => why !== 'role_missing')
  );
}

const excludedAs: Readonly<Record<Excluded['why'], string>> = {
  author: 'wrote this version of the flow',
  promoter: 'brought this version of the flow into the environment',
  approver: 'has approved something in this run before',
};

function refusalAt(approval: Deciding, index: number, principal: Principal, kit: QueueKit): Refused | null {
  const gate = approval.gates[index];
  const no = (why: Refused['why'], message: string): Refused => ({ status: 'no', why, message });
  if (gate === undefined) return roleMissing(approval, kit);
  const { id, actedBy } = principal;
  if (gate.rule.direct === 'required' && actedBy !== undefined)
    return no('not_direct', `this gate asks for the human itself; \`${actedBy}\` acts for \`${id}\``);
  if (gate.rule.separation.requester !== false && approval.requesters.includes(id))
    return no('requester', `\`${id}\` asked for this action and may not decide it`);
  const excluded = gate.excluded?.find((person) => person.id === id);
  if (excluded !== undefined) {
    const how = excludedAs[excluded.why];
    return no(excluded.why, `\`${id}\` ${how} and may not decide it: the gate asks for somebody else`);
  }
  if (!holds(principal, decidersNow(gate, kit))) return roleMissing(approval, kit);
  return approval.decisions.some((decision) => decision.by.id === id && decision.gates.includes(index))
    ? no('already_decided', `\`${id}\` has already decided this approval`)
    : null;
}

function holds({ roles, permissions }: Principal, deciders: Deciders): boolean {
  return (
    deciders.roles.some((role) => roles.includes(role)) ||
    (deciders.byPermission && permissions.includes('approval.decide'))
  );
}

function roleMissing(approval: Deciding, kit: QueueKit): Refused {
  const all = approval.gates.map((gate) => decidersNow(gate, kit));
  const roles = [...new Set(all.flatMap((deciders) => deciders.roles))].map((role) => `\`${role}\``);
  const wanted = [
    ...(roles.length === 0 ? [] : [`one of the roles ${joinFirst(roles)}`]),
    ...(all.some((deciders) => deciders.byPermission) ? ['the permission `approval.decide`'] : []),
  ];
  const message =
    wanted.length === 0
      ? 'nobody decides this: the queue that it waits in names no role any more'
      : `deciding this takes ${wanted.join(' or ')}`;
  return { status: 'no', why: 'role_missing', message };
}
