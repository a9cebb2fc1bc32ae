import assert from 'node:assert/strict';
import { test } from 'node:test';
import { showApproval, showRecord, showRun } from '../../src/cli/show.js';

const run = {
  id: 'run_1',
  flow: 'f',
  flowVersion: 1,
  environment: 'dev',
  status: 'stuck',
  state: 'open',
  version: 3,
} as const;

test('a stuck run says what is left to do with it', () => {
  const problem = { code: 'ON_ENTER_FAILED', message: 'it failed', next: 'a retry tries it again' };
  const shown = showRun({ run: { ...run, problem } });
  assert.ok(shown.includes('problem ON_ENTER_FAILED: it failed'), shown.join('\n'));
  assert.ok(shown.includes('next    a retry tries it again'), shown.join('\n'));
  assert.doesNotMatch(showRun({ run: { ...run, status: 'running' } }).join('\n'), /^next/m);
});

test('a transition that is not for everybody says whom it is for', () => {
  const link = (actor: string, gated = false) => ({
    ...{ rel: 'approve', title: 'Approve it', method: 'POST', href: '/', actor, gated },
  });
  const lines = showRun({ run, links: [link('agent'), link('human'), link('human', true), link('system')] });
  assert.deepEqual(lines.slice(-4), [
    'can approve: Approve it',
    'can approve (people only): Approve it',
    'can approve (people only) (may wait for an approval): Approve it',
    'can approve (systems only): Approve it',
  ]);
});

test('an approval that nobody decides any more promises nothing', () => {
  const shown = (status: string): string =>
    showApproval({
      id: 'apr_1',
      status,
      consequence: 'when approved, it runs',
      onExpiry: 'it expires',
    }).join();
  for (const status of ['open', 'escalated'])
    assert.match(shown(status), /it expires.*when approved, it runs/);
  for (const status of ['approved', 'denied', 'expired', 'revoked', 'consumed'])
    assert.doesNotMatch(shown(status), /it expires|when approved/, status);
});

test('a record of a refusal says with which code, and why', () => {
  const record = { index: 7, chain: 'service', id: 'rec_1', hash: 'h', prev: null, time: 't' } as const;
  const line = (type: string, data: object): string => showRecord({ ...record, type, data } as object);
  assert.match(
    line('approval.refused', { code: 'REASON_REQUIRED', decision: 'deny' }),
    / {2}REASON_REQUIRED$/,
  );
  assert.match(
    line('request.refused', { code: 'FORBIDDEN', why: 'requester' }),
    / {2}FORBIDDEN {2}requester$/,
  );
});
