import type { Fact } from '../../src/model/records.js';
import type { RunScope } from '../../src/audit/index.js';

/** A fact of a run; only `key` must differ. */
export function fact(key: string, change: Partial<Fact> = {}): Fact {
  return {
    key,
    type: 'transition.requested',
    time: '2026-11-21T08:00:00.000Z',
    actor: { kind: 'agent', id: 'agent' },
    data: { state: 'start' },
    ...change,
  };
}

export function scope(run: string): RunScope {
  return {
    run,
    environment: 'dev',
    flow: 'expense_approval',
    planHash: 'sha256:plan',
    traceId: `trc_${run}`,
    workflowId: run,
    firstRunId: '',
  };
}
