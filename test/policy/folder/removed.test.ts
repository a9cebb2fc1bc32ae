import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EnvironmentEntry, FloorEntry, PolicySet } from '../../../src/model/policy-set.js';
import type { Plan } from '../../../src/engine/plan.js';
import {
  formerQueues,
  knownQueues,
  queuesNamedAlone,
  findRemoved,
  type Catalog,
  type PolicyState,
} from '../../../src/policy/index.js';

// What a reload says that it takes away, and what of it has to be confirmed by name.

const strict: EnvironmentEntry = {
  name: 'live',
  requireTiers: true,
  refuseWarnings: true,
  batchIrreversible: false,
  gateTimeoutMs: 1_000,
};
const base: PolicySet = {
  ...{ v: 1, baseDirectory: '/', connections: [], environments: [strict] },
  ...{ roles: [], queues: [] },
};
const stateOf = (policySet: PolicySet, tools: readonly string[] = []): PolicyState => ({
  policySet,
  catalog: { policySet, tools: tools.map((name) => ({ name })) } as unknown as Catalog,
  flows: [],
});
const removedBetween = (before: PolicyState, after: PolicyState, named: readonly string[] = []) =>
  findRemoved(before, after, named).map(({ kind, name, confirm }) => [kind, name, confirm]);
const changed = (before: Partial<PolicySet>, after: Partial<PolicySet>) =>
  removedBetween(stateOf({ ...base, ...before }), stateOf({ ...base, ...after }));

describe('what a set of policies had and the next has not', () => {
  const rules: readonly (readonly [string, Partial<EnvironmentEntry>])[] = [
    ['live: requireTiers', { requireTiers: false }],
    ['live: refuseWarnings', { refuseWarnings: false }],
    ['live: no batches of irreversible', { batchIrreversible: true }],
    ['live: gateTimeout', { gateTimeoutMs: 1_001 }],
  ];
  for (const [name, loosened] of rules) {
    const looser = [{ ...strict, ...loosened }];
    it(`is a rule of an environment, which needs its name: ${name}`, () => {
      assert.deepEqual(changed({}, { environments: looser }), [['rule', name, true]]);
      assert.deepEqual(changed({ environments: looser }, { environments: [strict] }), [], 'stricter');
    });

    it(`is a rule of an environment that was gone, and comes back without it: ${name}`, () => {
      const gone = { environments: [], formerEnvironments: [strict] };
      assert.deepEqual(changed(gone, { environments: looser }), [['rule', name, true]]);
      assert.deepEqual(changed(gone, gone), []);
    });
  }

  it('is a connection, a tool, a role or the notifications, which need no name', () => {
    const connections = [{ name: 'bank' }] as unknown as PolicySet['connections'];
    const roles = [{ name: 'clerk', permissions: [] }];
    const notifications = {} as PolicySet['notifications'];
    assert.deepEqual(changed({ connections }, {}), [['connection', 'bank', false]]);
    assert.deepEqual(changed({ roles }, {}), [['role', 'clerk', false]]);
    assert.deepEqual(changed({ notifications } as Partial<PolicySet>, {}), [
      ['notifications', 'notifications', false],
    ]);
    assert.deepEqual(removedBetween(stateOf(base, ['pay', 'read']), stateOf(base, ['read'])), [
      ['tool', 'pay', false],
    ]);
  });

  it('is a queue, which needs its name where something waits in it', () => {
    const queues = [{ name: 'money', roles: [] }] as unknown as PolicySet['queues'];
    const [was, is] = [stateOf({ ...base, queues }), stateOf(base)];
    assert.deepEqual(removedBetween(was, is), [['queue', 'money', false]]);
    assert.deepEqual(removedBetween(was, is, ['money']), [['queue', 'money', true]]);
  });

  const floor = (timeout: object | null): FloorEntry =>
    ({
      ...{ tiers: ['irreversible'], roles: ['cfo'], queue: null, reason: 'optional' },
      ...{ quorum: { count: 1, perRole: [] }, timeout },
    }) as unknown as FloorEntry;
  const hours = (to: string) => ({ zone: 'UTC', days: ['mon'], from: '09:00', to });
  const timed = (timeout: object | null, cfo: string, ceo: string): Partial<PolicySet> => ({
    environments: [{ ...strict, floors: [floor(timeout)] }],
    roles: [
      { name: 'cfo', permissions: [], hours: hours(cfo) },
      { name: 'ceo', permissions: [], hours: hours(ceo) },
    ] as unknown as PolicySet['roles'],
  });
  const business = { afterMs: 1, hours: 'business', action: 'deny', to: [] };
  const all = { afterMs: 1, hours: 'all', action: 'escalate', to: ['ceo'] };
  const gone = [['floor', 'live: irreversible by cfo', true]];

  it('is a floor whose time counts other hours: of who decides, of whom it escalates to, in whatever stage', () => {
    const same = ['17:00', '17:00'] as const;
    for (const timeout of [
      business,
      { ...all, then: business },
      { ...all, then: { ...all, then: business } },
    ])
      assert.deepEqual(changed(timed(timeout, ...same), timed(timeout, '23:00', '17:00')), gone);
    const escalating = { ...business, action: 'escalate', to: ['ceo'] };
    for (const timeout of [escalating, { ...all, then: business }])
      assert.deepEqual(changed(timed(timeout, ...same), timed(timeout, '17:00', '23:00')), gone);
    assert.deepEqual(changed(timed(all, ...same), timed(all, '23:00', '23:00')), [], 'all hours count');
    assert.deepEqual(changed(timed(business, ...same), timed(business, '17:00', '23:00')), []);
  });
});

describe('a queue that is named alone', () => {
  const plan = (transition: object): Pick<Plan, 'states'> =>
    ({ states: [{ transitions: [{ gates: [], executor: null, ...transition }] }] }) as unknown as Plan;
  it('decides what waits in it: at a gate, and at a person of a step; beside roles it does not', () => {
    const alone = { queue: 'money', roles: [] };
    const beside = { queue: 'money', roles: ['cfo'] };
    assert.deepEqual(queuesNamedAlone(plan({ gates: [alone] })), ['money']);
    assert.deepEqual(queuesNamedAlone(plan({ executor: { kind: 'human', ...alone } })), ['money']);
    assert.deepEqual(queuesNamedAlone(plan({ gates: [beside], executor: { kind: 'human', ...beside } })), []);
    assert.deepEqual(queuesNamedAlone(plan({ gates: [{ queue: null, roles: [] }] })), []);
  });
});

describe('a queue that is gone', () => {
  it('is known as a former queue after any number of loads', () => {
    const known = knownQueues({ queues: [{ name: 'a', roles: [] }], formerQueues: ['b'] });
    assert.deepEqual(known, ['a', 'b']);
    assert.deepEqual(formerQueues([], known), { formerQueues: ['a', 'b'] });
    assert.deepEqual(formerQueues([{ name: 'b', roles: [] }], known), { formerQueues: ['a'] });
  });
});
