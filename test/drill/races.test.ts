import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import type { Person, Reply } from '../../drill/caller.js';
import type { Found } from '../../drill/judge.js';
import { judgeRace } from '../../drill/race-judge.js';
import { raceKinds, type Finisher, type Ran } from '../../drill/race.js';
import { racesTable, type KindReport } from '../../drill/table.js';
import { projectRoot } from '../support/paths.js';

describe('races at one gate', () => {
  it('have one outcome each, told to everybody, with one effect at most and a record that agrees', async () => {
    const script = ['--import', 'tsx', join('drill', 'races.ts'), '--races', String(2 * raceKinds.length)];
    const { stdout } = await promisify(execFile)(process.execPath, script, { cwd: projectRoot });
    const report = JSON.parse(stdout) as Record<string, any>;
    assert.equal(report['ok'], true, stdout);
    const kinds = Object.values(report['kinds']) as { races: number; outcomes: Record<string, number> }[];
    assert.equal(kinds.length, raceKinds.length);
    for (const { races, outcomes } of kinds) {
      assert.equal(races, 2);
      assert.equal(outcomes['none'], undefined);
    }
    const executed = kinds.reduce((sum, one) => sum + (one.outcomes['executed'] ?? 0), 0);
    assert.equal(report['effects'], executed);
    const shown = racesTable(report['kinds'] as Record<string, KindReport>, { loserNotTold: 0 });
    for (const { name } of raceKinds) assert.ok(shown.includes(`\n| ${name} | 2 | `), shown);
  });

  const ann: Person = { id: 'ann', post: () => Promise.reject(new Error('not asked')) };
  const bob: Person = { ...ann, id: 'bob' };
  const said = (by: Person, act: Finisher['act'], status: number, code: string | null = null): Finisher => {
    const reply: Reply = { status, code, body: null };
    return { by, act, told: { reply, first: reply, tries: 1, at: 0, sentAt: 5_000 } };
  };
  const kind = raceKinds.find((one) => one.name === 'approve against deny')!;
  const parked = { flow: 'one', run: 'run_1', approval: 'apr_1', digest: 'd', expiresAt: 0 };
  const race = (finishers: readonly Finisher[]): Ran => ({ kind, parked, finishers });
  const won = race([said(ann, 'approve', 200), said(bob, 'deny', 409, 'ALREADY_DECIDED')]);
  const effect = { key: 'run_1:pay:x:0', run: 'run_1', requests: 1 };
  const decided = { type: 'approval.decided', actor: 'ann', decision: 'approve', at: 0 };
  const good: Found = {
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
  const cases: readonly [string, Ran, Partial<Found>, readonly string[]][] = [
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
});
