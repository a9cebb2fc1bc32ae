import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatesJson, type GateStatus } from '../../src/service/approvals/body/gates.js';

const gate = (fields: Partial<GateStatus>): GateStatus => ({
  ...{ source: 'transition', rule: 'two of them', roles: ['release.manager', 'sre'], byPermission: false },
  ...{ quorum: { count: 2, approved: 0 }, missing: [], expiresAt: '2026-11-29T10:00:00.000Z' },
  ...{ onTimeout: 'deny', reasonRequired: false, outOfReach: false },
  ...fields,
});
const textOf = (one: GateStatus): unknown => {
  const { gates } = gatesJson([one]);
  return gates[0]?.text;
};
const shares = (managers: number, engineers: number) => [
  { role: 'release.manager', count: 1, approved: managers },
  { role: 'sre', count: 1, approved: engineers },
];

test('a gate whose quorum is reached by number and not by role says who is still waited for', () => {
  const waiting = gate({
    quorum: { count: 2, approved: 2, perRole: shares(0, 1) },
    missing: [{ roles: ['release.manager'], count: 1 }],
  });
  assert.equal(
    textOf(waiting),
    'one of the roles release.manager, sre; 2 of 2 have approved; it waits for 1 of release.manager',
  );
  const both = gate({
    quorum: { count: 2, approved: 0, perRole: shares(0, 0) },
    missing: [
      { roles: ['release.manager'], count: 1 },
      { roles: ['sre'], count: 1 },
    ],
  });
  assert.match(String(textOf(both)), /; it waits for 1 of release\.manager and 1 of sre$/);
});

test('a gate without shares of roles says how many have approved, and so does one that nobody is missing at', () => {
  const expected = 'one of the roles release.manager, sre; 0 of 2 have approved';
  assert.equal(textOf(gate({ missing: [{ roles: ['sre'], count: 2 }] })), expected);
  const reached = gate({ quorum: { count: 2, approved: 2, perRole: shares(1, 1) } });
  assert.equal(textOf(reached), 'one of the roles release.manager, sre; 2 of 2 have approved');
});
