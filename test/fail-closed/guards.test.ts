import assert from 'node:assert/strict';
import type { Guard } from '../../src/engine/plan.js';
import { expr, literal, path, plan, state, transition } from '../engine/build.js';
import { agent, principal } from '../engine/people.js';
import { begin } from '../engine/walk.js';
import { links } from '../../src/engine/index.js';
import { failClosed } from './support/cells.js';
import { guardRefuses, isStuck, odd } from './support/refused.js';

// Guards of each kind: whatever keeps one from saying yes refuses the transition, and is recorded.

const broken: Guard = expr(path('context', 'nothing'), '>', literal(1));
const unknownKind: Guard = odd({ kind: 'weather', is: 'fine' });
const passing: Guard = expr(literal(1), '==', literal(1));
const failing: Guard = expr(literal(1), '==', literal(2));

/** The runtime is no principal: a deterministic transition behind the guard waits for an operator. */
function nobodyPasses(guard: Guard): void {
  const walk = begin(
    plan([state('a', [transition('x', 'b', { actor: 'deterministic', guards: [guard] })]), state('b')]),
  );
  isStuck(walk, 'CHAIN_NO_MATCH');
}

failClosed('guard.permission', {
  missing: () => nobodyPasses({ kind: 'permission', permission: 'pay' }),
  malformed: () => {
    const holder = principal('bot', 'agent', { permissions: ['PAY', 'pay ', 'pay.*', '*'] });
    guardRefuses({ kind: 'permission', permission: 'pay' }, 'fail', {}, holder);
  },
  empty: () => guardRefuses({ kind: 'permission', permission: 'pay' }, 'fail'),
});

failClosed('guard.role', {
  missing: () => nobodyPasses({ kind: 'role', role: 'payer' }),
  malformed: () => {
    const holder = principal('bot', 'agent', { roles: ['Payer', ' payer', '*'], permissions: ['payer'] });
    guardRefuses({ kind: 'role', role: 'payer' }, 'fail', {}, holder);
  },
  empty: () => guardRefuses({ kind: 'role', role: 'payer' }, 'fail'),
});

failClosed('guard.expr', {
  error: () => guardRefuses(expr(path('arguments', 'n'), '<', literal(5)), 'error', { n: '4' }),
  missing: () => {
    guardRefuses(expr(path('arguments', 'n'), '<', literal(5)), 'error');
    guardRefuses(expr(path('context', '__proto__', 'constructor'), 'contains', literal('x')), 'error');
  },
  malformed: () => guardRefuses(expr(literal(1), odd('=~'), literal(1)), 'error'),
  empty: () => {
    guardRefuses(expr(path('arguments', 'n'), '>=', literal(0)), 'error', { n: null });
    guardRefuses(expr(path('arguments', 'n'), 'starts_with', literal('a')), 'fail', { n: '' });
  },
});

failClosed('guard.evidence', {
  missing: () =>
    guardRefuses(
      { kind: 'evidence', requires: [{ kind: 'tests_passed', count: 1, distinct: false }] },
      'fail',
    ),
  malformed: () => {
    for (const count of [Number.NaN, 'two', undefined])
      guardRefuses(
        { kind: 'evidence', requires: [{ kind: 'x', count: odd(count), distinct: true }] },
        'fail',
      );
  },
  empty: () => guardRefuses({ kind: 'evidence', requires: [] }, 'error'),
});

failClosed('guard.allOf', {
  error: () => guardRefuses({ kind: 'allOf', guards: [passing, broken] }, 'error'),
  missing: () => guardRefuses({ kind: 'allOf', guards: [passing, failing] }, 'fail'),
  malformed: () => guardRefuses({ kind: 'allOf', guards: [passing, unknownKind] }, 'error'),
  empty: () => guardRefuses({ kind: 'allOf', guards: [] }, 'error'),
});

failClosed('guard.anyOf', {
  error: () => guardRefuses({ kind: 'anyOf', guards: [failing, broken] }, 'error'),
  missing: () => guardRefuses({ kind: 'anyOf', guards: [failing] }, 'fail'),
  malformed: () => guardRefuses({ kind: 'anyOf', guards: [unknownKind, failing] }, 'error'),
  empty: () => guardRefuses({ kind: 'anyOf', guards: [] }, 'error'),
});

failClosed('guard.not', {
  error: () => {
    guardRefuses({ kind: 'not', guard: broken }, 'error');
    guardRefuses({ kind: 'not', guard: { kind: 'not', guard: broken } }, 'error');
    guardRefuses({ kind: 'not', guard: { kind: 'allOf', guards: [passing, broken] } }, 'error');
  },
  missing: () => guardRefuses({ kind: 'not', guard: passing }, 'fail'),
  malformed: () => guardRefuses({ kind: 'not', guard: unknownKind }, 'error'),
  empty: () => guardRefuses({ kind: 'not', guard: { kind: 'anyOf', guards: [] } }, 'error'),
});

failClosed('chain', {
  error: () => {
    const walk = begin(
      plan([
        state('a', [
          transition('x', 'b', { actor: 'deterministic', guards: [broken] }),
          transition('default', 'b', { actor: 'deterministic' }),
        ]),
        state('b'),
      ]),
    );
    isStuck(walk, 'CHAIN_NO_MATCH');
  },
  timeout: () => {
    const there = state('a', [transition('x', 'b', { actor: 'deterministic' })]);
    const back = state('b', [transition('y', 'a', { actor: 'deterministic' })]);
    isStuck(begin(plan([there, back])), 'CHAIN_TOO_LONG');
  },
  missing: () => nobodyPasses(failing),
  malformed: () => nobodyPasses(unknownKind),
  empty: () => {
    const both = ['x', 'y'].map((name) => transition(name, 'b', { actor: 'deterministic' }));
    isStuck(begin(plan([state('a', both), state('b')])), 'CHAIN_AMBIGUOUS');
  },
});

/** Under `byGuards`: the transitions that an agent is offered, of one behind the guards and one behind none. */
function shown(guards: readonly Guard[]): string[] {
  const of = plan([state('a', [transition('go', 'b', { guards }), transition('stay', 'a')]), state('b')], {
    linkFilter: 'byGuards',
  });
  return links(of, begin(of).run, agent, { floors: [] }).map((one) => one.rel);
}

failClosed('links', {
  error: () => assert.deepEqual(shown([broken]), ['stay']),
  missing: () => assert.deepEqual(shown([{ kind: 'permission', permission: 'pay' }]), ['stay']),
  malformed: () => assert.deepEqual(shown([unknownKind]), ['stay']),
  empty: () => assert.deepEqual(shown([{ kind: 'allOf', guards: [] }]), ['stay']),
});
