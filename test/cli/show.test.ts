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

test('a record of what went wrong says what it was', () => {
  const record = { index: 7, chain: 'service', id: 'rec_1', hash: 'h', prev: null, time: 't' } as const;
  const line = (type: string, data: object): string => showRecord({ ...record, type, data } as object);
  const message = 'quota is used up\u001b[2J\nnext line';
  const shown = String.raw`quota is used up\u{1b}[2J\u{a}next line`;
  const expected: [string, object, string][] = [
    ['executor.failed', { errorClass: 'permanent', message, ms: 3 }, `permanent  ${shown}`],
    ['executor.failed', { code: 'GUARD_REJECTED', message }, `GUARD_REJECTED  ${shown}`],
    ['executor.unknown', { errorClass: 'unknown_outcome', message }, `unknown_outcome  ${shown}`],
    ['run.stuck', { code: 'ON_ENTER_FAILED', message, state: 'placed' }, `ON_ENTER_FAILED  ${shown}`],
    ['mapping.unresolved', { path: '$.output.note' }, '$.output.note'],
    [
      'mapping.unresolved',
      { path: '$.output.a', paths: ['$.output.a', '$.output.b'], count: 5 },
      '$.output.a, $.output.b and 3 more',
    ],
    ['mapping.unresolved', { path: '$.a', paths: ['$.a', '$.b'], count: 2 }, '$.a, $.b'],
    ['message.refused', { name: 'start', reason: 'closed', digest: 'sha256:00' }, 'start  closed'],
    ['transition.requested', { message, reason: 'mine', name: 'n' }, '()'],
  ];
  for (const [type, data, end] of expected) {
    const told = line(type, data);
    assert.ok(told.endsWith(`  ${end}`), told);
  }
});
