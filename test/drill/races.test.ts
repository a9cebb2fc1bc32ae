import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Person, Reply } from '../../drill/caller.js';
import type { FoundRun } from '../../drill/judge.js';
import { judgeRace } from '../../drill/racing/race-judge.js';
import { raceKinds, type Finisher, type Ran } from '../../drill/racing/race.js';
import { judgeRunRace } from '../../drill/racing/run-race-judge.js';
import { runRaceKinds, type RaceRequest, type RunRan } from '../../drill/racing/run-race.js';
import type { WholeRun } from '../../drill/whole-run.js';

describe('races at one gate', () => {
  const ann: Person = { id: 'ann', post: () => Promise.reject(new Error('not asked')) };
  const bob: Person = { ...ann, id: 'bob' };
  const said = (by: Person, act: Finisher['act'], status: number, code: string | null = null): Finisher => {
    const reply: Reply = { status, code, body: null };
    return { by, act, told: { reply, first: reply, tries: 1, at: 0, sentAt: 5_000, answeredAt: 5_000 } };
  };
  const kind = raceKinds.find((one) => one.name === 'approve against deny')!;
  const parked = { flow: 'one', run: 'run_1', approval: 'apr_1', digest: 'd', expiresAt: 0 };
  const race = (finishers: readonly Finisher[]): Ran => ({ kind, parked, finishers });
  const won = race([said(ann, 'approve', 200), said(bob, 'deny', 409, 'ALREADY_DECIDED')]);
  const effect = { key: 'run_1:pay:x:0', run: 'run_1', requests: 1 };
  const decided = { type: 'approval.decided', actor: 'ann', decision: 'approve', at: 0 };
  const good: FoundRun = {
    run: 'run_1',
    approvalStatus: 'consumed',
    actionStatus: 'executed',
    decisions: [{ by: 'ann', decision: 'approve', status: 'applied', code: null }],
    records: [
      decided,
      { type: 'executor.started', actor: 'runtime', decision: null, at: 0 },
      { type: 'executor.succeeded', actor: 'runtime', decision: null, at: 0 },
    ],
    others: [],
    effects: [effect],
    chainProblem: null,
  };
  const denial = { by: 'bob', decision: 'deny', status: 'applied', code: null };
  const cases: readonly [string, Ran, Partial<FoundRun>, readonly string[]][] = [
    ['accepts a race as it should be', won, {}, []],
    [
      'sees an approval that is denied and executed',
      won,
      { approvalStatus: 'denied' },
      ['noSingleOutcome', 'effectsDisagree', 'recordDisagrees'],
    ],
    ['sees a second effect', won, { effects: [effect, { ...effect, key: 'x' }] }, ['effectsDisagree']],
    [
      'sees a denial in the record of what was executed',
      won,
      {
        records: [...good.records, { type: 'approval.decided', actor: 'bob', decision: 'deny', at: 0 }],
        decisions: [...good.decisions, denial],
      },
      ['recordDisagrees'],
    ],
    ['sees two winners', won, { decisions: [...good.decisions, denial] }, ['wrongWinner']],
    [
      'sees a decision that hangs',
      won,
      { decisions: [...good.decisions, { ...denial, status: 'accepted' }] },
      ['wrongWinner'],
    ],
    [
      'sees a loser who was told yes',
      race([said(ann, 'approve', 200), said(bob, 'deny', 200)]),
      {},
      ['loserNotTold'],
    ],
    [
      'sees a loser who was told nothing',
      race([said(ann, 'approve', 200), said(bob, 'deny', 500)]),
      {},
      ['loserNotTold'],
    ],
    [
      'accepts that another agent has an approval of its own, which ended',
      race([said(ann, 'approve', 200), said(bob, 'submit', 202)]),
      { others: [{ approval: 'revoked', action: 'revoked' }] },
      [],
    ],
    [
      'sees another agent that was covered by a decision about somebody else',
      race([said(ann, 'approve', 200), said(bob, 'submit', 200)]),
      {},
      ['loserNotTold'],
    ],
    [
      'sees an approval of another agent that is left open',
      race([said(ann, 'approve', 200), said(bob, 'submit', 202)]),
      { others: [{ approval: 'open', action: 'pending' }] },
      ['loserNotTold'],
    ],
    [
      'accepts that somebody may not decide before the escalation',
      race([said(ann, 'approve', 200), said(bob, 'approve', 403, 'NOT_AN_APPROVER')]),
      {
        records: [
          ...good.records,
          { type: 'approval.escalated', actor: 'runtime', decision: null, at: 6_000 },
        ],
      },
      [],
    ],
    [
      'sees somebody who was told so after it',
      race([said(ann, 'approve', 200), said(bob, 'approve', 403, 'NOT_AN_APPROVER')]),
      {
        records: [
          ...good.records,
          { type: 'approval.escalated', actor: 'runtime', decision: null, at: 1_000 },
        ],
      },
      ['loserNotTold'],
    ],
  ];
  for (const [name, ran, change, faults] of cases)
    it(name, () => assert.deepEqual(judgeRace(ran, { ...good, ...change }).faults, faults));

  const at = (sentAt: number, one: Finisher, answeredAt = sentAt + 100): Finisher => ({
    ...one,
    told: { ...one.told, sentAt, answeredAt },
  });
  const leaver = (sentAt: number, status: number, code: string | null = null): Finisher => ({
    ...at(sentAt, said(ann, 'approve', status, code)),
    losesRole: true,
  });
  /** Asked for at 4,000 and answered at 5,000. */
  const reload = at(4_000, said(bob, 'narrow', 200), 5_000);
  const stayer = at(9_000, said(bob, 'approve', 200));
  const late = at(9_000, said(bob, 'approve', 409, 'ALREADY_DECIDED'));
  const ownDecision = { ...good.decisions[0]!, at: 4_500 };
  const ownRecord = { ...decided, at: 4_600, permission: 'role:finance.clerk' };
  const run = good.records.slice(1).map((one) => ({ ...one, at: 4_700 }));
  const byBob = { by: 'bob', decision: 'approve', status: 'applied', code: null, at: 9_000 };
  const bobRecord = { ...decided, actor: 'bob', at: 9_050, permission: 'role:finance.controller' };
  const stopping = { type: 'executor.failed', actor: 'runtime', decision: null, at: 5_100 };
  const refusedLeaver: Partial<FoundRun> = {
    decisions: [{ ...ownDecision, status: 'refused', code: 'NOT_AN_APPROVER' }, byBob],
    records: [bobRecord, ...run],
  };
  const narrowed: readonly [string, readonly Finisher[], Partial<FoundRun>, readonly string[]][] = [
    [
      'accepts who decided before a reload took the role away',
      [leaver(4_400, 200), reload, late],
      { decisions: [ownDecision], records: [ownRecord, ...run] },
      [],
    ],
    [
      'accepts who is refused after it, and another who decides',
      [leaver(5_200, 403, 'NOT_AN_APPROVER'), reload, stayer],
      refusedLeaver,
      [],
    ],
    [
      'accepts that what was approved before it does not begin after it, where the record says why',
      [leaver(4_400, 200), reload, late],
      {
        ...{ decisions: [ownDecision], records: [ownRecord, stopping], effects: [] },
        ...{ approvalStatus: 'consumed', actionStatus: 'failed' },
      },
      [],
    ],
    [
      'sees that nothing says why it does not',
      [leaver(4_400, 200), reload, late],
      {
        ...{ decisions: [ownDecision], records: [ownRecord], effects: [] },
        ...{ approvalStatus: 'approved', actionStatus: 'failed' },
      },
      ['recordDisagrees'],
    ],
    [
      'sees a decision that was made after it and counts',
      [leaver(5_200, 200), reload, late],
      { decisions: [{ ...ownDecision, at: 5_250 }], records: [{ ...ownRecord, at: 4_900 }, ...run] },
      ['wrongDecider'],
    ],
    [
      'sees an effect of what was recorded after it',
      [leaver(4_400, 200), reload, late],
      { decisions: [ownDecision], records: [{ ...ownRecord, at: 5_300 }, ...run] },
      ['wrongDecider'],
    ],
    [
      'sees somebody who was refused before it was asked for',
      [leaver(3_000, 403, 'NOT_AN_APPROVER'), reload, stayer],
      refusedLeaver,
      ['wrongDecider'],
    ],
    [
      'sees somebody who was told no and counts',
      [leaver(4_400, 404, 'NOT_FOUND'), reload, late],
      { decisions: [ownDecision], records: [ownRecord, ...run] },
      ['wrongDecider'],
    ],
    [
      'sees a decision under another role than the one that was lost',
      [leaver(4_400, 200), reload, late],
      {
        decisions: [ownDecision],
        records: [{ ...ownRecord, permission: 'approval.decide' }, ...run],
      },
      ['wrongDecider'],
    ],
  ];
  const reloaded = raceKinds.find((one) => one.name === 'approve against a reload that takes the role away')!;
  for (const [name, finishers, change, faults] of narrowed)
    it(name, () =>
      assert.deepEqual(
        judgeRace({ kind: reloaded, parked, finishers }, { ...good, ...change }).faults,
        faults,
      ),
    );
});

describe('races for one run', () => {
  const record = (type: string, actor = 'runtime', decision: string | null = null) => ({
    ...{ type, actor, decision, at: 0 },
  });
  const ask = (
    act: RaceRequest['act'],
    status: number,
    fields: Partial<RaceRequest> & { code?: string; body?: object } = {},
  ): RaceRequest => {
    const { code = null, body = null, ...more } = fields;
    const reply: Reply = { status, code, body };
    const told = { reply, first: reply, tries: 1, at: 0, sentAt: 0, answeredAt: 0 };
    return { by: 'ann', act, vendor: 'v', told, ...more };
  };
  const pay = (vendor: string, n = 0) => ({ key: `${vendor}:${n}`, run: vendor, vendor, requests: 1 });
  const kindOf = (judgedAs: 'repetition' | 'crowd') => runRaceKinds.find((one) => one.judgedAs === judgedAs)!;

  const repeated: WholeRun = {
    ...{ run: 'run_1', status: 'cancelled', problem: null, approvals: [], decisions: [], unanswered: 0 },
    actions: [{ id: 'act_1', status: 'executed' }],
    records: [
      ...['executor.started', 'executor.unknown', 'run.retried'].map((type) => record(type)),
      ...['executor.started', 'executor.succeeded', 'run.cancelled'].map((type) => record(type)),
    ],
    effects: [pay('v', 0), pay('v', 1)],
    chainProblem: null,
  };
  const retried = ask('retry', 200, { key: 'k' });
  const askedBoth = [retried, retried, ask('retry', 409, { code: 'NOT_STUCK' }), ask('cancel', 200)];
  const once: Partial<WholeRun> = {
    problem: 'EXECUTOR_UNKNOWN',
    records: ['executor.started', 'executor.unknown', 'run.cancelled'].map((type) => record(type)),
    effects: [pay('v')],
  };
  const closed = ask('retry', 409, { code: 'RUN_CLOSED' });
  const repetitions: readonly [string, readonly RaceRequest[], Partial<WholeRun>, readonly string[]][] = [
    ['accepts one repetition, and a cancel after it', askedBoth, {}, []],
    ['accepts a cancel before any repetition', [closed, ask('cancel', 200)], once, []],
    [
      'sees a second repetition',
      askedBoth,
      {
        effects: [...repeated.effects, pay('v', 2)],
        records: [record('executor.started'), ...repeated.records],
      },
      ['effectsDisagree'],
    ],
    [
      'sees a call that is not in the record',
      [closed, ask('cancel', 200)],
      { ...once, effects: [pay('v'), pay('v', 1)] },
      ['recordDisagrees'],
    ],
    [
      'sees an end that does not say that it may have happened',
      [closed, ask('cancel', 200)],
      { ...once, problem: null },
      ['recordDisagrees'],
    ],
    [
      'sees a retry that was told yes and is not in the record',
      [retried, ask('cancel', 200)],
      once,
      ['loserNotTold'],
    ],
    ['sees a retry that was told no and was done', [closed, ask('cancel', 200)], {}, ['loserNotTold']],
    [
      'sees a cancel that was told that the run had ended, which it then ended',
      [retried, ask('cancel', 409, { code: 'RUN_CLOSED' })],
      {},
      ['loserNotTold'],
    ],
    ['sees a run that did not end', askedBoth, { status: 'stuck' }, ['noSingleOutcome', 'recordDisagrees']],
    [
      'sees a repetition without an approval of its own, where the first had one',
      askedBoth,
      {
        approvals: [{ id: 'apr_1', status: 'consumed', action: 'unknown' }],
        decisions: [{ by: 'ann', approval: 'apr_1', decision: 'approve', status: 'applied', code: null }],
        records: [record('approval.decided', 'ann', 'approve'), ...repeated.records],
      },
      ['wrongWinner'],
    ],
  ];
  for (const [name, asked, change, faults] of repetitions)
    it(name, () => {
      const ran: RunRan = { kind: kindOf('repetition'), run: 'run_1', gates: [], asked };
      assert.deepEqual(judgeRunRace(ran, { ...repeated, ...change }).faults, faults);
    });

  const applied = { by: 'ann', approval: 'apr_1', decision: 'approve', status: 'applied', code: null };
  const whole: WholeRun = {
    ...{ run: 'run_1', status: 'waiting', problem: null, unanswered: 0, chainProblem: null },
    approvals: [
      { id: 'apr_1', status: 'consumed', action: 'executed' },
      { id: 'apr_2', status: 'open', action: 'pending' },
    ],
    actions: [
      { id: 'act_1', status: 'executed' },
      { id: 'act_2', status: 'pending' },
      { id: 'act_3', status: 'executed' },
    ],
    decisions: [applied],
    records: [
      record('approval.decided', 'ann', 'approve'),
      ...['executor.started', 'executor.succeeded', 'executor.started', 'executor.succeeded'].map((type) =>
        record(type),
      ),
    ],
    effects: [pay('gate'), pay('free')],
  };
  const approve = ask('approve', 202, { approval: 'apr_1', vendor: 'gate' });
  const pending = ask('submit', 202, {
    vendor: 'gated',
    body: { result: { status: 'pending', approval: { id: 'apr_2' } } },
  });
  const free = ask('submit', 200, { vendor: 'free', body: { result: { status: 'executed' } } });
  const busy = ask('submit', 409, { vendor: 'busy', code: 'RUN_BUSY' });
  const crowd = [approve, pending, free, busy];
  const crowds: readonly [string, readonly RaceRequest[], Partial<WholeRun>, readonly string[]][] = [
    ['accepts a crowd whose answers are what the store says', crowd, {}, []],
    [
      'sees an approver who was told that the approval was revoked, and it was executed',
      [{ ...approve, told: ask('approve', 409, { code: 'APPROVAL_REVOKED' }).told }, pending, free],
      {},
      ['loserNotTold'],
    ],
    [
      'sees a submit on the open run that was told that it is closed',
      [...crowd, ask('submit', 409, { vendor: 'busy', code: 'RUN_CLOSED' })],
      {},
      ['loserNotTold'],
    ],
    [
      'sees a submit that was refused and executed',
      [approve, pending, { ...free, told: busy.told }],
      {},
      ['loserNotTold'],
    ],
    [
      'sees a decision that is kept as refused, though it was executed',
      crowd,
      { decisions: [{ ...applied, status: 'refused', code: 'APPROVAL_REVOKED' }] },
      ['wrongWinner'],
    ],
    [
      'sees an approval that was told to be open and is not',
      crowd,
      { approvals: [whole.approvals[0]!, { id: 'apr_2', status: 'revoked', action: 'revoked' }] },
      ['loserNotTold'],
    ],
    [
      'sees an approval that was not executed',
      crowd,
      { approvals: [{ ...whole.approvals[0]!, action: 'executing' }, whole.approvals[1]!] },
      ['noSingleOutcome'],
    ],
    ['sees what is paid twice', crowd, { effects: [...whole.effects, pay('gate', 1)] }, ['effectsDisagree']],
    ['sees a message without an answer', crowd, { unanswered: 1 }, ['noSingleOutcome']],
  ];
  for (const [name, asked, change, faults] of crowds)
    it(name, () => {
      const gates = [{ approval: 'apr_1', vendor: 'gate' }];
      const ran: RunRan = { kind: kindOf('crowd'), run: 'run_1', gates, asked };
      assert.deepEqual(judgeRunRace(ran, { ...whole, ...change }).faults, faults);
    });
});
