import { idFromDigest } from '../../model/names/derived-ids.js';
import type { Json } from '../../model/values/json.js';
import { toWellFormedJson } from '../../model/values/text.js';
import type { Principal } from '../../model/principal.js';
import type { Fact, RecordActor, RecordType } from '../../model/records.js';
import type { Plan } from '../plan.js';
import type { Seen } from '../guards.js';
import type { Action, ActionStatus, Answer, EventResult, Effect, Kit, RunState } from '../state.js';
import { takeBytes } from '../effects/room.js';
import { makeWork, rememberDigests, type Work } from './work.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The result of an event in the making. It lives inside a single call of `decide`, which gives an `EventResult` of it. */
export interface Draft {
  readonly plan: Plan;
  readonly run: Mutable<RunState>;
  readonly kit: Kit;
  readonly work: Work;
  /** ISO 8601 UTC of the event. */
  readonly time: string;
  /** Deterministic, unique for the event within the run. */
  readonly key: string;
  readonly effects: Effect[];
  readonly facts: Fact[];
  readonly actions: EventResult['actions'][number][];
}

/** The part of a draft that needs neither plan nor kit. */
export type Notes = Pick<Draft, 'run' | 'time' | 'key' | 'facts' | 'actions'>;

export function makeNotes(run: RunState, time: string, key: string): Notes {
  return { run: { ...run }, time, key, facts: [], actions: [] };
}

const runtimeActor: RecordActor = { kind: 'runtime', id: 'countersign' };

export function makeDraft(plan: Plan, run: RunState, kit: Kit, time: string, key: string): Draft {
  const hands = rememberDigests(kit);
  return {
    plan,
    run: { ...run },
    kit: hands,
    work: makeWork(),
    time,
    key,
    effects: [],
    facts: [],
    actions: [],
  };
}

/** The same draft a second time: what happens to one of them does not happen to the other, but that both use up one `work`. */
export function copyDraft(draft: Draft): Draft {
  const { run, effects, facts, actions } = draft;
  return { ...draft, run: { ...run }, effects: [...effects], facts: [...facts], actions: [...actions] };
}

/**
 * The result of a draft, in text that can be kept: the canonical form takes no lone surrogates, and a result that cannot be
 * written would be made again for ever. What has not changed has been kept before, and is not looked through.
 */
export function finish(draft: Draft, before: RunState): EventResult {
  const changed = Object.entries(draft.run).filter(([key, value]) => before[key as keyof RunState] !== value);
  const known = new Set([...keptIn(before), ...draft.work.sound]);
  return {
    state: { ...draft.run, ...toWellFormedJson(Object.fromEntries(changed), known) },
    effects: toWellFormedJson(draft.effects, known),
    trace: toWellFormedJson(draft.facts, known),
    actions: toWellFormedJson(draft.actions, known),
  };
}

/** The large values of a run: input, context and what it holds, approvals and the action under way, with their arguments. */
function keptIn({ context, input, approvals, executing }: RunState): readonly unknown[] {
  const actions = [
    ...approvals.map(({ action }) => action),
    ...(executing === null ? [] : [executing.action]),
  ];
  return [
    ...[context, input, executing, ...Object.values(context), ...approvals, ...actions],
    ...actions.map((action) => action.arguments),
  ];
}

/** Bytes. A longer value is on record by its size and digest. */
const longestRead = 4_096;
/** Bytes. A shorter value, which is no longer than its digest, is always on record as it is. */
const shortRead = 128;

/** The values that a guard read, as they are put on record. */
export function readsOnRecord({ kit, work }: Draft, reads: readonly Seen[]): Json {
  return reads.map(({ path, value }): Json => {
    const { bytes } = work.measure(value);
    const isKept = bytes <= shortRead || (bytes <= longestRead && takeBytes(work.reads, bytes));
    return isKept ? { path, value } : { path, bytes, digest: kit.digest(value) };
  });
}

export function actorOf(principal: Principal | null): RecordActor {
  return principal === null
    ? runtimeActor
    : { kind: principal.kind, id: principal.id, roles: principal.roles };
}

/** In whose name an action is judged and recorded: its requester; null: the runtime, which takes it by itself. */
export function actingPrincipal({ byRuntime, requester }: Action): Principal | null {
  return byRuntime === true ? null : requester;
}

type FactFields = Omit<Fact, 'key' | 'type' | 'time' | 'data' | 'actor'> & {
  readonly actor?: RecordActor;
  readonly data?: { readonly [key: string]: Json };
};

export function record(
  draft: Pick<Draft, 'key' | 'time' | 'facts'>,
  type: RecordType,
  fields: FactFields,
): void {
  const { actor = runtimeActor, data = {}, ...rest } = fields;
  draft.facts.push({
    key: `${draft.key}#${draft.facts.length}`,
    type,
    time: draft.time,
    actor,
    data,
    ...rest,
  });
}

export function project(
  draft: Pick<Draft, 'actions'>,
  action: Action,
  status: ActionStatus,
  more: Partial<Omit<EventResult['actions'][number], 'action' | 'status'>> = {},
): void {
  draft.actions.push({ action, status, error: null, outputRef: null, ...more });
}

export function actionFact(action: Action): NonNullable<Fact['action']> {
  return {
    id: action.id,
    transition: action.transition,
    digest: action.digest,
    ...(action.tool === null ? {} : { tool: action.tool }),
    ...(action.tier === null ? {} : { tier: action.tier }),
  };
}

/** Answers a message. The answer is kept with it, for whoever waits and whoever asks again. */
export function answer(draft: Draft, messageId: string, said: Answer): void {
  draft.effects.push({ kind: 'answer', messageId, answer: said });
}

/** Refuses a message: this changes nothing but the record and the answer. */
export function refuse(
  draft: Draft,
  messageId: string,
  refusal: Omit<Extract<Answer, { status: 'refused' }>, 'status'>,
): void {
  answer(draft, messageId, { status: 'refused', ...refusal });
}

/** Ids are deterministic, so that a step that runs again makes the same ids. */
export function derivedId(draft: Draft, prefix: 'act' | 'apr' | 'evd', salt: string): string {
  return idFromDigest(prefix, draft.kit.digest({ run: draft.run.run, key: draft.key, salt }));
}

export function plainDigest(digest: string): string {
  return digest.slice('sha256:'.length);
}
