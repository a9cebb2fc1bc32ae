import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { problemCodes } from '../../../src/model/contract/errors.js';
import { mostContextBytes } from '../../../src/model/limits.js';
import { giveUp, wayOn } from '../../../src/engine/index.js';
import type { OnEnter, Plan } from '../../../src/engine/plan.js';
import type { EventResult, Kit, Outcome } from '../../../src/engine/state.js';
import { wayOfCode } from '../../../src/engine/run/stuck/way-on.js';
import { expr, gate, literal, onEnter, path, plan, rest, state, transition, type Fields } from '../build.js';
import { fay, operator, principal } from '../people.js';
import { answerOf, approve, begin, begins, kit, lost, message, operate, time, type Walk } from '../walk.js';

// Whoever looks at a stuck run is told whether a retry or a cancel helps, and that is true: for each code a run is made stuck, and retried.

const agent = principal('bot', 'agent', { roles: ['payer'], permissions: ['run.operate'] });
const no: Partial<Outcome> = { status: 'failed', errorClass: 'permanent', message: 'no' };
const possibly = { ...no, errorClass: 'transient', message: '500', effectPossible: true } as object;
const isFalse = expr(literal(1), '==', literal(2));
const isTrue = expr(literal(1), '==', literal(1));
const large = { large: 'x'.repeat(mostContextBytes) };

const entering = (fields: Partial<OnEnter> = {}, hands: Kit = kit): Walk =>
  begin(plan([state('a', [transition('go', 'done')], onEnter(fields)), state('done')]), {}, agent, hands);
const chain = (fields: Fields, hands: Kit = kit, more: object = {}, input = {}): Walk =>
  begin(
    plan(
      [
        state('a', [transition('go', 'b', { actor: 'deterministic', ...fields })]),
        state('b', [transition('end', 'done', { actor: 'deterministic' })]),
        state('done'),
      ],
      more,
    ),
    input,
    agent,
    hands,
  );
const asked = (fields: Fields = {}, more: object = {}): Walk => {
  const walk = begin(
    plan([state('a', [transition('pay', 'a', { executor: rest, ...fields })]), state('gone')], more),
  );
  walk.submit(agent, 'pay');
  return walk;
};
const after = (walk: Walk, result: object): Walk => {
  walk.outcome(result);
  return walk;
};
const floored: Kit = {
  ...kit,
  floors: [
    {
      tiers: ['reversible'],
      gate: gate({ because: ['environment'], origin: { source: 'environment', path: null } }),
    },
  ],
};
const unknown: Kit = { ...kit, floors: null };
const refusing = (code: 'INPUT_INVALID' | 'TOO_LARGE', hands = kit): Kit => ({
  ...hands,
  show: (...given) => ({ ...kit.show(...given), refused: { code, message: 'it can never be made' } }),
});
const vast: Kit = {
  ...kit,
  show: () => ({ summary: '', consequence: '', preview: { a: 'x'.repeat(5_000_000) } }),
};
/** Its calls, shown together, are too large to ask anybody about; can one of them be made? */
const unshown = (canBeMade: boolean): Kit => ({
  ...refusing('TOO_LARGE', floored),
  canBeMade: () => canBeMade,
});
const gated: Fields = { executor: rest, gate: gate() };
const setsLarge: Fields['output'] = [{ key: 'k', spec: { kind: 'set', value: path('input', 'large') } }];
const setsOutput: Fields['output'] = [
  { key: 'k', spec: { kind: 'set', value: { ...path('context', 'large'), scope: 'output' } as never } },
];
/** The runtime has asked for approval of its step, which was denied, or whose time was up. */
const unapproved = (by: 'denial' | 'expiry'): Walk => {
  const walk = chain(gated);
  const approval = walk.run.approvals[0]?.id ?? '';
  if (by === 'denial') walk.decide(fay, approval, 'deny');
  else while (walk.run.approvals[0]?.status === 'open') walk.fire(approval);
  return walk;
};
const given = (walk: Walk, code: 'STEP_FAILED' | 'HISTORY_FORKED'): Walk => {
  walk.run = giveUp(walk.run, { code, key: 'k', time, why: 'it threw', start: null, messages: [] }).state;
  return walk;
};

/** What a retry does: it `goes` on, comes to the `same`, goes on once policies or the `cause` have changed, needs a human, or is `refused`. */
type Truth = 'goes' | 'same' | 'policies' | 'human' | 'refused';
type Code = keyof typeof wayOfCode;
const cases: readonly (readonly [Code, RegExp, Truth, () => Walk])[] = [
  ['ON_ENTER_FAILED', /a retry tries it again/, 'goes', () => after(entering(), no)],
  ['ON_ENTER_FAILED', /only a cancel helps/, 'same', () => entering({ tier: 'irreversible' })],
  ['ON_ENTER_FAILED', /once the policies/, 'policies', () => entering({ tier: 'reversible' }, floored)],
  ['ON_ENTER_FAILED', /once the policies/, 'policies', () => entering({}, unknown)],
  ['ON_ENTER_FAILED', /a retry by a human does it again/, 'human', () => after(entering(), possibly)],
  [
    'EXECUTOR_FAILED',
    /a retry by a human does it again/,
    'human',
    () => after(chain({ executor: rest }), possibly),
  ],
  ['EXECUTOR_UNKNOWN', /a retry by a human does it again/, 'human', () => after(asked(), lost)],
  ['EXECUTOR_UNKNOWN', /a retry by a human does it again/, 'human', () => after(entering(), lost)],
  ['EXECUTOR_FAILED', /a retry tries it again/, 'goes', () => after(chain({ executor: rest }), no)],
  [
    'GUARD_REJECTED',
    /a retry tries it again/,
    'goes',
    () => after(chain({ executor: rest }), { ...no, code: 'GUARD_REJECTED' }),
  ],
  [
    'DIGEST_MISMATCH',
    /a retry tries it again/,
    'goes',
    () => after(chain({ executor: rest }), { ...no, code: 'DIGEST_MISMATCH' }),
  ],
  ['CHAIN_NO_MATCH', /only a cancel helps/, 'same', () => chain({ guards: [isFalse] })],
  [
    'CHAIN_AMBIGUOUS',
    /only a cancel helps/,
    'same',
    () =>
      begin(
        plan([
          state(
            'a',
            ['x', 'y'].map((name) => transition(name, 'done', { actor: 'deterministic', guards: [isTrue] })),
          ),
          state('done'),
        ]),
      ),
  ],
  ['CHAIN_TOO_LONG', /a retry goes on from here/, 'goes', () => chain({}, kit, { maxChainDepth: 1 })],
  [
    'NO_ELIGIBLE_TRANSITION',
    /only a cancel helps/,
    'same',
    () => begin(plan([state('a', [transition('x', 'done', { guards: [isFalse] })]), state('done')])),
  ],
  [
    'NO_ELIGIBLE_TRANSITION',
    /a retry has the runtime take its step again/,
    'goes',
    () => unapproved('denial'),
  ],
  [
    'NO_ELIGIBLE_TRANSITION',
    /a retry has the runtime take its step again/,
    'goes',
    () => unapproved('expiry'),
  ],
  [
    'NO_ELIGIBLE_TRANSITION',
    /once the policies/,
    'policies',
    () =>
      begin(
        plan([state('a', [transition('x', 'done', { executor: rest })]), state('done')]),
        {},
        agent,
        unknown,
      ),
  ],
  [
    'STATE_TOO_LARGE',
    /would do it a second time: only a cancel helps/,
    'refused',
    () => after(asked({ output: setsOutput }), { output: large }),
  ],
  [
    'HISTORY_FORKED',
    /a retry goes on from here/,
    'goes',
    () => given(asked({ executor: null }), 'HISTORY_FORKED'),
  ],
  ['STEP_FAILED', /a retry tries it again/, 'goes', () => given(asked({ executor: null }), 'STEP_FAILED')],
  ['BLOCKED', /once the policies/, 'policies', () => chain({ executor: rest }, unknown)],
  [
    'BLOCKED',
    /only a cancel helps/,
    'same',
    () =>
      chain({ executor: rest, tool: 'x', tier: 'reversible' }, kit, {
        charter: { read: [], execute: [], deny: ['x'], unmapped: [] },
      }),
  ],
  ['INPUT_INVALID', /only a cancel helps/, 'same', () => chain(gated, refusing('INPUT_INVALID'))],
  [
    'INPUT_INVALID',
    /only a cancel helps/,
    'same',
    () => chain({ executor: rest, gate: gate({ expiresWith: [path('input', 'none') as never] }) }),
  ],
  [
    'TOO_LARGE',
    /as large: only a cancel helps; a new run needs less/,
    'same',
    () => chain(gated, refusing('TOO_LARGE')),
  ],
  [
    'TOO_LARGE',
    /once the policies/,
    'policies',
    () => chain({ executor: rest, tier: 'reversible' }, unshown(true)),
  ],
  [
    'TOO_LARGE',
    /as large: only a cancel helps/,
    'same',
    () => chain({ executor: rest, tier: 'reversible' }, unshown(false)),
  ],
  [
    'TOO_LARGE',
    /as large: only a cancel helps/,
    'same',
    () => chain({ ...gated, tier: 'reversible' }, unshown(true)),
  ],
  ['RUN_FULL', /only a cancel helps/, 'same', () => chain({ output: setsLarge }, kit, {}, large)],
  [
    'RUN_FULL',
    /once approvals of this run that are open have been decided/,
    'same',
    () => chain(gated, vast),
  ],
];

describe('a run that is stuck', () => {
  for (const [index, [code, told, truth, make]] of cases.entries())
    it(`says what helps with ${code} (${index}), and so it is`, () => {
      const walk = make();
      assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', code], walk.run.problem?.message);
      assert.match(wayOn(walk.run, null) ?? '', told);
      const submitted = answerOf(walk.submit(agent, 'pay')) as { message?: string; code?: string };
      assert.equal(submitted.code, 'RUN_STUCK');
      assert.match(submitted.message ?? '', told);
      if (truth === 'human')
        assert.equal(answerOf(operate(walk, 'retry', { by: agent }))?.code, 'HUMANS_ONLY');
      if (truth === 'policies') {
        operate(walk, 'retry');
        assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', code]);
        walk.kit = kit;
      }
      const said = operate(walk, 'retry');
      if (truth === 'refused') assert.equal(answerOf(said)?.code, 'RUN_STUCK');
      const isSame = truth === 'same' || truth === 'refused';
      assert.equal(begins(said) || walk.run.status !== 'stuck', !isSame, JSON.stringify(walk.run.problem));
      if (isSame) assert.equal(walk.run.problem?.code, code);
    });

  it('says of a call that cannot be made that a retry makes none, and of one that is too large what a new run needs', () => {
    const large = (isLarge: boolean): Kit => ({
      ...kit,
      canBeMade: () => false,
      whyTooLarge: () => (isLarge ? 'it is too large' : null),
    });
    const ways = [
      [
        true,
        /^a retry would come to the same, since the call would be as large: only a cancel helps; a new run /,
      ],
      [false, /^a retry would come to the same: only a cancel helps$/],
    ] as const;
    for (const make of [entering, () => chain({ executor: rest })])
      for (const [isLarge, told] of ways) {
        const walk = make();
        walk.kit = large(isLarge);
        // A call of a step that is approved, or comes after an effect, is found to be too large where it is made.
        for (const again of [false, true]) {
          if (again) walk.kit = kit;
          if (again) operate(walk, 'retry');
          walk.kit = large(isLarge);
          walk.outcome(no);
          assert.match(wayOn(walk.run, null) ?? '', told);
        }
        assert.match(JSON.stringify(answerOf(walk.submit(agent, 'pay'))), /only a cancel/);
        walk.kit = kit;
        operate(walk, 'retry');
        walk.outcome(no);
        assert.match(wayOn(walk.run, null) ?? '', /a retry tries it again/);
      }
    const of = plan([state('a', [transition('go', 'done')], onEnter()), state('done')], { timeoutMs: 1_000 });
    const timed = begin(of);
    timed.kit = large(true);
    timed.outcome(no);
    assert.match(
      wayOn(timed.run, of) ?? '',
      /as large, and a cancel ends the run; a new run .*; at .* ends it$/,
    );
  });

  it('says of a repeat whose calls are too large to ask about whether policies stand against it, or the calls themselves', () => {
    for (const [fields, canBeMade, told] of [
      [{}, true, /; a retry helps once the policies of the environment no longer stand against it;/],
      [{}, false, /as large: only a cancel helps; a new run needs less/],
      [{ gate: gate() }, true, /as large: only a cancel helps; a new run needs less/],
    ] as const) {
      const walk = asked({ tier: 'reversible', ...fields });
      if ('gate' in fields) approve(walk);
      after(walk, lost);
      walk.kit = unshown(canBeMade);
      const said = answerOf(operate(walk, 'retry')) as { message?: string; code?: string };
      assert.equal(said.code, 'TOO_LARGE');
      assert.match(said.message ?? '', told);
      walk.kit = refusing('TOO_LARGE');
      const isMade = begins(operate(walk, 'retry'));
      assert.equal(isMade, !('gate' in fields));
    }
  });

  it('is one of those that the table has, and no problem that makes a run stuck is left out of it', () => {
    assert.deepEqual(new Set(cases.map(([code]) => code)), new Set(Object.keys(wayOfCode)));
    const ends = ['START_REFUSED', 'OUTCOME_FAILURE'];
    assert.deepEqual(
      problemCodes.filter((code) => !(code in wayOfCode)),
      ends,
    );
    const walk = after(asked(), lost);
    const odd = { ...walk.run, stuckOn: null, problem: { code: 'NOT_FOUND', message: '' } } as const;
    assert.match(wayOn(odd, null) ?? '', /a retry tries it again/);
    assert.match(wayOn({ ...odd, problem: null }, null) ?? '', /a retry tries it again/);
    assert.equal(wayOn({ ...walk.run, status: 'running' }, null), null);
  });

  it('waits for an approval once its effect was asked for again, and for a human again once that was denied', () => {
    const tiered = after(asked({ tier: 'reversible' }), lost);
    tiered.kit = floored;
    operate(tiered, 'retry');
    assert.match(wayOn(tiered.run, null) ?? '', /an approval for doing it again is open/);
    tiered.decide(fay, tiered.run.approvals[0]?.id ?? '', 'deny');
    assert.match(wayOn(tiered.run, null) ?? '', /a retry by a human does it again/);
  });

  describe('with a time of its own', () => {
    const at = '2026-01-01T00:00:01.000Z';
    const guarded = transition('go', 'gone', { actor: 'deterministic', guards: [isFalse] });
    const timed = (target: string | null): Plan => {
      const pay = transition('pay', 'a', { executor: rest, output: setsOutput });
      const states = [state('a', [guarded]), state('b', [pay]), state('end', [], onEnter()), state('gone')];
      return plan(states, { timeoutMs: 1_000, onTimeout: target === null ? null : { target } });
    };
    const inState = (of: Plan, initialState: string): Walk => begin({ ...of, initialState });
    const isUp = (walk: Walk): void => void walk.send({ kind: 'timeout', time: at });

    it('is told where its time moves it, or that it ends it, and so it is', () => {
      for (const [target, told, state] of [
        ['gone', `the run's time is up, which moves it to \`gone\``, 'gone timed_out'],
        ['a', `the run's time is up, which has it enter \`a\` again`, 'a stuck'],
        [null, "the run's time is up, which ends it", 'a timed_out'],
      ] as const) {
        const of = timed(target);
        const walk = inState(of, 'a');
        assert.equal(walk.run.problem?.code, 'CHAIN_NO_MATCH');
        const words = `a retry would come to the same, and a cancel ends the run; at ${at} ${told}`;
        assert.equal(wayOn(walk.run, of), words);
        const said = answerOf(walk.submit(agent, 'go')) as { message?: string };
        assert.ok(said.message?.endsWith(words), said.message);
        isUp(walk);
        assert.equal(`${walk.run.state} ${walk.run.status}`, state);
      }
    });

    it('is told of a halted run that time waits for the retry, and so it is', () => {
      const of = timed('gone');
      for (const code of ['HISTORY_FORKED', 'STEP_FAILED'] as const) {
        const walk = given(inState(of, 'a'), code);
        assert.match(
          wayOn(walk.run, of) ?? '',
          /; a retry after 2026-01-01T00:00:01\.000Z finds the run's time up, which moves it to `gone`$/,
        );
        isUp(walk);
        assert.equal(`${walk.run.state} ${walk.run.status}`, 'a stuck');
        operate(walk, 'retry', { at });
        assert.equal(`${walk.run.state} ${walk.run.status}`, 'gone timed_out');
      }
    });

    it('is ended by a retry after its time, as it is told, also where a retry before it would be refused', () => {
      const of = timed(null);
      const walk = inState(of, 'b');
      walk.submit(agent, 'pay');
      after(walk, { output: large });
      given(walk, 'HISTORY_FORKED');
      assert.match(wayOn(walk.run, of) ?? '', /; a retry after .* finds the run's time up, which ends it$/);
      const asked = { kind: 'message', message: message(operator, { kind: 'retry' }) } as const;
      walk.send({ ...asked, time });
      assert.equal(`${walk.run.state} ${walk.run.status}`, 'b stuck');
      walk.send({ ...asked, time: at });
      assert.equal(`${walk.run.state} ${walk.run.status}`, 'b timed_out');
    });

    it('is ended by a retry after its time by a human only, where something of it is in doubt', () => {
      const walk = inState(timed(null), 'b');
      walk.submit(agent, 'pay');
      after(walk, lost);
      given(walk, 'HISTORY_FORKED');
      const system = principal('timer', 'system', { permissions: ['run.operate'] });
      for (const by of [agent, system]) {
        const asked = message(by, { kind: 'retry' });
        const refused = walk.send({ kind: 'message', message: asked, time: at });
        assert.equal(answerOf(refused)?.code, 'HUMANS_ONLY');
        assert.equal(walk.run.status, 'stuck');
      }
      walk.send({ kind: 'message', message: message(operator, { kind: 'retry' }), time: at });
      assert.equal(walk.run.status, 'timed_out');
    });

    it('is told nothing of it where time changes nothing: what is in doubt waits', () => {
      const of = timed('gone');
      const walk = inState(of, 'b');
      walk.submit(agent, 'pay');
      after(walk, { output: large });
      assert.match(wayOn(walk.run, of) ?? '', /would do it a second time: only a cancel helps$/);
      isUp(walk);
      assert.equal(walk.run.state, 'b');
      const ended = timed(null);
      const other = inState(ended, 'b');
      other.submit(agent, 'pay');
      after(other, { output: large });
      assert.match(wayOn(other.run, ended) ?? '', /second time, and a cancel ends the run; at .* ends it$/);
    });

    it('is moved out of a terminal state by nothing: it stays until a person retries or cancels it', () => {
      const of = timed('gone');
      for (const [how, result] of [
        ['failed', no],
        ['unknown', lost],
        ['possible', possibly],
      ] as const) {
        const walk = after(inState(of, 'end'), result);
        assert.equal(walk.run.status, 'stuck');
        assert.doesNotMatch(wayOn(walk.run, of) ?? '', /time is up/);
        const { version, problem } = walk.run;
        isUp(walk);
        const { state, status, deadline } = walk.run;
        assert.deepEqual([state, status, deadline, walk.run.version], ['end', 'stuck', null, version], how);
        assert.deepEqual(walk.run.problem, problem);
        const [fired] = walk.last.trace.filter(({ type }) => type === 'timeout.fired');
        assert.match(String(fired?.data?.['waits']), /nothing leaves a terminal state/);
        operate(walk, 'retry');
        walk.outcome({});
        assert.deepEqual([walk.run.state, walk.run.status], ['end', 'completed'], how);
      }
    });

    it('stays in it too where its time was up while what it does on entry was under way', () => {
      const of = timed('gone');
      const walk = inState(of, 'end');
      isUp(walk);
      assert.equal(walk.run.timeoutDue, true);
      after(walk, no);
      assert.deepEqual([walk.run.state, walk.run.status], ['end', 'stuck']);
      operate(walk, 'cancel', { at });
      assert.equal(walk.run.status, 'cancelled');
    });

    it('ends in it where a person has said, of what was done and not written, that it goes on', () => {
      const of = timed('gone');
      const walk = after(inState(of, 'end'), no);
      const stuckOn = { kind: 'done', transition: 'onEnter:end' } as const;
      walk.run = { ...walk.run, stuckOn, overdue: true, deadline: null };
      operate(walk, 'retry');
      assert.deepEqual([walk.run.state, walk.run.status, walk.run.overdue], ['end', 'completed', undefined]);
    });

    it('names only a cancel where what it did on entry is done and not written: a retry is refused', () => {
      const walk = after(inState(timed('gone'), 'end'), no);
      walk.run = { ...walk.run, stuckOn: { kind: 'done', transition: 'onEnter:end' } };
      isUp(walk);
      const [fired] = walk.last.trace.filter(({ type }) => type === 'timeout.fired');
      assert.equal(fired?.data?.['waits'], 'nothing leaves a terminal state: a cancel');
    });

    it('ends in a terminal state where its time leads nowhere', () => {
      const walk = after(inState(timed(null), 'end'), no);
      assert.match(wayOn(walk.run, timed(null)) ?? '', /; at .* time is up, which ends it$/);
      isUp(walk);
      assert.deepEqual([walk.run.state, walk.run.status], ['end', 'timed_out']);
    });
  });

  it('moves on by a retry once its time is up, where the step has happened', () => {
    const walk = after(asked({ output: setsOutput }, { timeoutMs: 1_000, onTimeout: { target: 'gone' } }), {
      output: large,
    });
    walk.send({ kind: 'timeout', time: new Date(Date.parse(time) + 1_000).toISOString() });
    assert.match(wayOn(walk.run, null) ?? '', /does nothing again and lets the run move on/);
    operate(walk, 'retry');
    assert.equal(walk.run.state, 'gone');
  });
});

describe('a retry that is refused says', () => {
  const payer: Fields = { guards: [{ kind: 'role', role: 'payer' }] };
  const messageOf = (result: EventResult): string =>
    (answerOf(result) as { message?: string } | undefined)?.message ?? '';

  it('whose right is missing: of who asked for it, and not of who retries', () => {
    const walk = after(asked(payer), lost);
    walk.kit = { ...kit, rightsNow: (name) => ({ ...name, roles: [] }) };
    const said = operate(walk, 'retry');
    assert.equal(answerOf(said)?.code, 'GUARD_REJECTED');
    assert.match(
      messageOf(said),
      /^`pay` is done for `bot`, who asked for it and is the caller meant here, not for `ops`: guard 0 \(role\) of `pay` refused: .*; a retry helps once the guard passes for `bot`; a cancel ends the run$/,
    );
    walk.kit = kit;
    assert.ok(begins(operate(walk, 'retry')));
  });

  it('whether another can ever be taken', () => {
    const blocked = after(asked(), lost);
    blocked.kit = unknown;
    assert.match(messageOf(operate(blocked, 'retry')), /is blocked: .*; a retry helps once the policies/);
    // An effect that the runtime began for nobody.
    const { stuckOn } = blocked.run;
    assert.ok(stuckOn?.kind === 'action');
    const action = { ...stuckOn.action, requester: null };
    blocked.run = { ...blocked.run, stuckOn: { kind: 'action', action } };
    assert.match(messageOf(operate(blocked, 'retry')), /^`pay` is blocked: /);
    const invalid = after(asked({ tier: 'reversible' }), lost);
    invalid.kit = { ...refusing('INPUT_INVALID'), floors: floored.floors };
    const said = operate(invalid, 'retry');
    assert.equal(answerOf(said)?.code, 'INPUT_INVALID');
    assert.match(
      messageOf(said),
      /cannot be asked for: it can never be made; a retry would come to the same: only a cancel helps/,
    );
    const full = after(asked({ tier: 'reversible' }), lost);
    full.kit = { ...vast, floors: floored.floors };
    assert.match(messageOf(operate(full, 'retry')), /only a cancel helps/);
    const beside = begin(
      plan([
        state('a', [
          transition('pay', 'a', { executor: rest, tier: 'reversible' }),
          transition('other', 'a', { executor: rest, gate: gate() }),
        ]),
      ]),
    );
    beside.submit(agent, 'other');
    beside.submit(agent, 'pay');
    beside.outcome(lost as object);
    beside.kit = { ...vast, floors: floored.floors };
    assert.match(
      messageOf(operate(beside, 'retry')),
      /once approvals of this run that are open have been decided/,
    );
  });
});
