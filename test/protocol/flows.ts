import { decide } from '../../src/engine/index.js';
import type { Executor, Gate, Plan } from '../../src/engine/plan.js';
import { gate, plan, state, transition } from '../engine/build.js';
import { makeRulings } from './rulings.js';
import type { Protocol } from './world.js';

// A payment behind two of two. After it the run ends, or it goes on in the same state.

const draft: Executor = {
  ...{ kind: 'rest', connection: 'erp', method: 'POST' },
  path: { kind: 'text', parts: ['/payments/draft'] },
  ...{ query: [], headers: [], body: null, idempotencyKey: true },
};

export function payment(target: 'paid' | 'open', keyed = true, fields: Partial<Gate> = {}): Plan {
  const gated = gate({
    quorum: { count: 2, perRole: [] },
    timeout: { afterMs: 60_000, action: 'escalate', to: ['finance.director'] },
    ...fields,
  });
  const executor = { ...draft, idempotencyKey: keyed };
  const pay = transition('pay', target, { executor, gate: gated, tier: 'irreversible' });
  return plan([state('open', [pay]), state('paid')]);
}

export function protocolOf(
  of: Plan,
  change: Partial<Protocol> = {},
  engine: typeof decide = decide,
  believesTimers = false,
): Protocol {
  return {
    rulings: makeRulings(of, engine, believesTimers),
    ...{ keyed: true, dedupes: true, mayFail: false, limits: { approvals: 1, inFlight: 1 } },
    ...{ consumesGrant: true, remembersSteps: true, takesOnce: true, answersWithStep: true },
    ...{ withdrawsUntaken: true, ringsAgain: true, sweepsAtClose: true, refusesClosed: true },
    ...{ takesAbandoned: true, adopts: true, rearms: true },
    ...change,
  };
}
