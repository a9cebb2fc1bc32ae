import type { Action, ApprovalState, Executing, RunState, StuckOn } from '../../engine/state.js';
import type { PayloadRef } from '../../model/records.js';
import type { RunRow } from './runs.js';

// A run's document as it is stored: the engine's state, in which a reference to an encrypted payload stands in place of each
// value of a caller.

export interface HeldValue {
  readonly payload: PayloadRef;
  /** `sha256:<hex>` of the value's canonical form. */
  readonly digest: string;
}

/** `held` is null where there are no arguments. */
export type StoredAction = Omit<Action, 'arguments'> & { readonly held: HeldValue | null };
type StoredApproval = Omit<ApprovalState, 'action'> & { readonly action: StoredAction };
type StoredExecuting = Omit<Executing, 'action'> & { readonly action: StoredAction };
type StoredStuckOn =
  | Exclude<StuckOn, { kind: 'action' }>
  | (Omit<Extract<StuckOn, { kind: 'action' }>, 'action'> & { readonly action: StoredAction });

export type RunDocument = Omit<RunState, 'input' | 'approvals' | 'executing' | 'stuckOn'> & {
  readonly heldInput: HeldValue | null;
  readonly approvals: readonly StoredApproval[];
  readonly executing: StoredExecuting | null;
  readonly stuckOn: StoredStuckOn | null;
};

/** Null: the run has taken no step. */
export function documentOf({ doc }: Pick<RunRow, 'doc'>): RunDocument | null {
  return doc === null ? null : (JSON.parse(doc) as RunDocument);
}

/** The state with empty values of callers, for code that reads none of them. */
export function stateWithoutValues({ heldInput: _heldInput, ...document }: RunDocument): RunState {
  const bare = ({ held: _held, ...action }: StoredAction): Action => ({ ...action, arguments: {} });
  const { approvals, executing, stuckOn } = document;
  return {
    ...document,
    input: {},
    approvals: approvals.map((approval) => ({ ...approval, action: bare(approval.action) })),
    executing: executing === null ? null : { ...executing, action: bare(executing.action) },
    stuckOn: stuckOn?.kind === 'action' ? { ...stuckOn, action: bare(stuckOn.action) } : stuckOn,
  };
}
