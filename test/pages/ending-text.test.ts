import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endingText } from '../../src/api/pages/ending-text.js';
import type { ApprovalProgress } from '../../src/service/approvals/course.js';

const course = (
  approval: ApprovalProgress['approval'],
  fields: Partial<ApprovalProgress> = {},
): ApprovalProgress => ({
  approval,
  ...{ action: null, wasTried: 'no', code: null, isHeldUp: false },
  ...fields,
});
const approved = (
  action: ApprovalProgress['action'],
  fields: Partial<ApprovalProgress> = {},
): ApprovalProgress => course('consumed', { action, ...fields });

const told: readonly (readonly [ApprovalProgress, RegExp])[] = [
  [course('open'), /waits for others\.$/],
  [course('escalated', { isHeldUp: true }), /waits for others, and for an operator\.$/],
  [course('denied'), /denied: nothing of it runs/],
  [course('expired'), /decided in time: nothing of it runs/],
  [course('revoked'), /revoked since: nothing of it runs/],
  [approved('executed'), /has run\.$/],
  [approved('executing', { wasTried: 'yes' }), /approved, and runs\.$/],
  [
    approved('failed', { wasTried: 'yes', code: 'EXECUTOR_TIMEOUT' }),
    /running it failed \(EXECUTOR_TIMEOUT\)\.$/,
  ],
  [
    approved('failed', { code: 'GUARD_REJECTED' }),
    /was not run \(GUARD_REJECTED\): it is to be asked for again\.$/,
  ],
  // The target gave no fitting answer to a call under a key: the effect may have happened.
  [
    approved('failed', { wasTried: 'maybe', code: 'EXECUTOR_FAILED' }),
    /whether it has happened is not known \(EXECUTOR_FAILED\): a person has to look at the target\.$/,
  ],
  [approved('unknown', { wasTried: 'yes' }), /whether it has happened is not known: a person has to look/],
  [approved('revoked'), /is revoked since: nothing of it runs/],
  [course('approved', { action: 'approved' }), /runs as soon as its run comes to it/],
  [
    course('approved', { action: 'pending', isHeldUp: true }),
    /has not run yet: its run waits for an operator/,
  ],
  [approved(null), /what came of it is not known here/],
];

test('whoever has decided is told what came of it, and never that something runs that does not', () => {
  for (const [what, expected] of told) assert.match(endingText(what), expected, JSON.stringify(what));
});
