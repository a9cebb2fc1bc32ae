import type { Principal } from '../../model/principal.js';
import type { ApprovalDecision, ApprovalState, GateState, GateView, Kit, Missing } from '../state.js';
import { decidersNow, mayDecideAt } from './deciders.js';
import { endingOfStage } from './deadlines.js';
import { ruleText } from './gates.js';
import { isGateApproved, shareAt } from './quorum.js';

// The gates of an approval, as an approver sees them.

type QueueKit = Pick<Kit, 'queueRoles'>;
type Viewed = Pick<ApprovalState, 'gates' | 'decisions' | 'requesters' | 'action' | 'runEndsAt'>;

export function gateViews(approval: Viewed, kit: QueueKit): GateView[] {
  const { runEndsAt = Infinity } = approval;
  return approval.gates.map((gate, index) => {
    const { rule, source, expiresAt } = gate;
    const isEarlier = runEndsAt < expiresAt;
    const { approved, perRole } = shareAt(approval, gate, index, kit);
    return {
      source,
      rule: ruleText(rule),
      ...decidersNow(gate, kit),
      quorum: { count: rule.quorum.count, approved, ...(perRole.length === 0 ? {} : { perRole }) },
      missing: isGateApproved(approval, index, kit) ? [] : missingAt(approval, gate, index, kit),
      expiresAt: new Date(isEarlier ? runEndsAt : expiresAt).toISOString(),
      onTimeout: isEarlier ? 'deny' : endingOfStage(gate, approval.action.tier).action,
      reasonRequired: rule.reason !== 'optional',
    };
  });
}

/** Whom a gate still waits for: first people for the slots of roles, then as many more as the quorum takes. */
function missingAt(approval: Viewed, gate: GateState, index: number, kit: QueueKit): Missing[] {
  const { approved, perRole } = shareAt(approval, gate, index, kit);
  const ofRoles = perRole.flatMap((share): Missing[] =>
    share.count > share.approved ? [{ roles: [share.role], count: share.count - share.approved }] : [],
  );
  const more = gate.rule.quorum.count - approved - ofRoles.reduce((sum, missing) => sum + missing.count, 0);
  return more > 0 ? [...ofRoles, { roles: decidersNow(gate, kit).roles, count: more }] : ofRoles;
}

/** Indexes of the gates that would still wait if all of these people who may decide there approved. */
export function outOfReach(approval: Viewed, people: readonly Principal[], kit: QueueKit): readonly number[] {
  return [...approval.gates.entries()].flatMap(([index, gate]) => {
    const able = people.filter((person) => mayDecideAt(approval, index, person, kit));
    const { roles: deciding } = decidersNow(gate, kit);
    const imagined = able.map(({ id, roles, permissions }): ApprovalDecision => ({
      id: `imagined:${id}`,
      by: { id, kind: 'human' },
      roles: deciding.filter((role) => roles.includes(role)),
      permitted: permissions.includes('approval.decide'),
      gates: [index],
      decision: 'approve',
      at: '',
    }));
    const decisions = [...approval.decisions, ...imagined];
    return isGateApproved({ ...approval, decisions }, index, kit) ? [] : [index];
  });
}
