import { canonical } from '../../model/values/canonical.js';
import { giveWayBefore } from '../../model/give-way.js';
import type { JsonObject } from '../../model/values/json.js';
import type { PayloadRef } from '../../model/records.js';
import { closedStatuses, type Action, type RunState } from '../../engine/state.js';
import { together, type Tx } from '../../db/index.js';
import {
  documentOf,
  stateWithoutValues,
  type HeldValue,
  type RunDocument,
  type StoredAction,
} from '../../store/runs/document.js';
import type { RunRow } from '../../store/runs/runs.js';
import type { ActivityDeps } from '../deps.js';
import { sha256 } from './kit.js';

// Translates between the engine's state, which contains the values of callers, and the document, which names their payloads.

/** The payloads of the values in a state: of the run's input, and of the arguments of actions, by their ids. */
export interface Holdings {
  readonly input: HeldValue | null;
  readonly actions: ReadonlyMap<string, HeldValue | null>;
}

export interface LoadedRun {
  readonly state: RunState;
  readonly holdings: Holdings;
}

/** Is the document as the run's last step wrote it? Whoever may write to the store may have changed it since. */
export function isAsWritten({ doc, docDigest }: Pick<RunRow, 'doc' | 'docDigest'>): boolean {
  return doc === null ? docDigest === null : sha256(doc) === docDigest;
}

/** The run's state with its values, each compared with its digest. Null: it has taken no step. */
export async function loadRun(
  deps: Pick<ActivityDeps, 'readValue'>,
  tx: Tx,
  row: Pick<RunRow, 'doc'>,
): Promise<LoadedRun | null> {
  const bare = await loadBareRun(row);
  return bare === null ? null : loadValues(deps, tx, bare);
}

/** The run without its values. Null: it has taken no step. */
export async function loadBareRun(row: Pick<RunRow, 'doc'>): Promise<LoadedRun | null> {
  await giveWayBefore(row.doc?.length ?? 0);
  const document = documentOf(row);
  return document === null ? null : runWithoutValues(document);
}

/** Adds the values of callers to a state without them. */
export async function loadValues(
  deps: Pick<ActivityDeps, 'readValue'>,
  tx: Tx,
  { state: bare, holdings }: LoadedRun,
): Promise<LoadedRun> {
  // Nothing reads the values of a run that has ended, and they may have been erased.
  if (closedStatuses.includes(bare.status)) return { state: bare, holdings };
  const read = async (held: HeldValue | null): Promise<JsonObject> =>
    held === null ? {} : deps.readValue(tx, held);
  const [input, values] = await together([
    read(holdings.input),
    together([...holdings.actions].map(async ([id, held]) => [id, await read(held)] as const)),
  ]);
  return { state: withValues(bare, input, new Map(values)), holdings };
}

/** The run's state without the values of callers: readable whatever has become of those. */
export function runWithoutValues(document: RunDocument): LoadedRun {
  const actions = new Map(actionsIn<StoredAction>(document).map((action) => [action.id, action.held]));
  return { state: stateWithoutValues(document), holdings: { input: document.heldInput, actions } };
}

/** What a state and a document have in common: where actions are in them. */
interface HoldsActions<A> {
  readonly approvals: readonly { readonly action: A }[];
  readonly executing: { readonly action: A } | null;
  readonly stuckOn: { readonly kind: string; readonly action?: A } | null;
}

export function actionsIn<A>({ approvals, executing, stuckOn }: HoldsActions<A>): A[] {
  return [
    ...approvals.map((approval) => approval.action),
    ...(executing === null ? [] : [executing.action]),
    ...(stuckOn?.action === undefined ? [] : [stuckOn.action]),
  ];
}

function withValues(bare: RunState, input: JsonObject, values: ReadonlyMap<string, JsonObject>): RunState {
  const fill = (action: Action): Action => ({ ...action, arguments: values.get(action.id) ?? {} });
  const { approvals, executing, stuckOn } = bare;
  return {
    ...bare,
    input,
    approvals: approvals.map((approval) => ({ ...approval, action: fill(approval.action) })),
    executing: executing === null ? null : { ...executing, action: fill(executing.action) },
    stuckOn: stuckOn?.kind === 'action' ? { ...stuckOn, action: fill(stuckOn.action) } : stuckOn,
  };
}

/** A value that came with this step's messages, as the text of its payload. */
export interface ArrivedValue {
  readonly message: string;
  readonly text: string;
  readonly ref: PayloadRef;
}

export interface StoredDocument {
  readonly text: string;
  /** `sha256:<hex>` of `text`. */
  readonly digest: string;
  readonly holdings: Holdings;
}

/** Makes the document of a state. A value stays in the payload that it came in, unless defaults were added to it. */
export async function storeDocument(
  deps: Pick<ActivityDeps, 'payloads'>,
  tx: Tx,
  state: RunState,
  known: Holdings,
  arrived: readonly ArrivedValue[],
): Promise<StoredDocument> {
  const hold = async (
    role: 'input' | 'args',
    value: JsonObject,
    from: string | null,
  ): Promise<HeldValue | null> => {
    const text = canonical(value);
    if (text === '{}') return null;
    const digest = sha256(text);
    const before = [...known.actions.values()].find((held) => held?.digest === digest);
    if (before !== undefined && before !== null) return before;
    const same = arrived.find(
      (each) => each.message === from && each.text === text && each.ref.role === role,
    );
    const payload = same?.ref ?? (await deps.payloads.put(tx, state.run, role, 'application/json', text));
    return { payload, digest };
  };
  const actions = new Map<string, HeldValue | null>();
  for (const action of actionsIn<Action>(state)) {
    const held = known.actions.get(action.id);
    actions.set(
      action.id,
      held !== undefined ? held : await hold('args', action.arguments, action.messageId),
    );
  }
  const start = arrived.find(({ ref }) => ref.role === 'input')?.message ?? null;
  const input = known.input ?? (start === null ? null : await hold('input', state.input, start));
  const holdings: Holdings = { input, actions };
  const text = canonical(documentFrom(state, holdings));
  return { text, digest: sha256(text), holdings };
}

function documentFrom({ input: _input, ...state }: RunState, { input, actions }: Holdings): RunDocument {
  const toStored = ({ arguments: _arguments, ...action }: Action): StoredAction => ({
    ...action,
    held: actions.get(action.id) ?? null,
  });
  const { approvals, executing, stuckOn } = state;
  return {
    ...state,
    heldInput: input,
    approvals: approvals.map((approval) => ({ ...approval, action: toStored(approval.action) })),
    executing: executing === null ? null : { ...executing, action: toStored(executing.action) },
    stuckOn: stuckOn?.kind === 'action' ? { ...stuckOn, action: toStored(stuckOn.action) } : stuckOn,
  };
}
