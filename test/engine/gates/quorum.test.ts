import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ApprovalDecision, ApprovalState, GateState } from '../../../src/engine/state.js';
import { isGateApproved } from '../../../src/engine/gates/quorum.js';
import { gate } from '../build.js';

// Which decisions still count when an approval is counted again later.

type Voted = Pick<ApprovalState, 'gates' | 'decisions' | 'requesters'>;

function voted(rule: GateState['rule'], by: Partial<ApprovalDecision>, byPermission = false): Voted {
  const at = { source: 'transition', roles: [], byPermission, expiresAt: 0 } as const;
  const given = { id: 'msg_1', by: { id: 'fay', kind: 'human' }, at: '', decision: 'approve' } as const;
  return {
    gates: [{ ...at, rule }],
    decisions: [{ ...given, gates: [0], roles: [], permitted: false, ...by }],
    requesters: [],
  };
}

describe('an approval that is counted again', () => {
  it('fills no slot of a role that its queue has no more, though another role of the same person still decides', () => {
    const rule = gate({
      ...{ roles: [], queue: 'q' },
      quorum: { count: 1, perRole: [{ role: 'treasurer', count: 1 }] },
    });
    const approval = voted(rule, { roles: ['controller', 'treasurer'] });
    const now = (roles: readonly string[]): boolean =>
      isGateApproved(approval, 0, { queueRoles: () => roles });
    assert.equal(now(['controller', 'treasurer']), true);
    assert.equal(now(['controller']), false);
    assert.equal(now([]), false);
  });

  it('counts by the permission only where its giver held that, and the gate opened to it', () => {
    const rule = gate({ roles: [] });
    const kit = { queueRoles: () => [] };
    assert.equal(isGateApproved(voted(rule, { permitted: true }, true), 0, kit), true);
    assert.equal(isGateApproved(voted(rule, { permitted: false }, true), 0, kit), false);
    assert.equal(isGateApproved(voted(rule, { permitted: true }, false), 0, kit), false);
  });
});
