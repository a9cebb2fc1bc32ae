import { readRecords, type AuditItem } from '../../audit/index.js';
import type { ReconstructionJson } from '../../model/contract/answer-types.js';
import type { Json, JsonObject } from '../../model/values/json.js';
import { mostAnswerBytes } from '../../model/limits.js';
import type { PayloadRef } from '../../model/records.js';
import type { ListedRun } from '../../store/runs/runs.js';
import type { Caller } from '../caller.js';
import { readAllValues } from './reconstruction-values.js';
import { makeFairTurns } from '../seats.js';

/** An action as the record tells it, with payloads by reference. */
export interface ReconstructedAction {
  /** Action id; null until a record names it. */
  id: string | null;
  readonly transition: string;
  tool: string | null;
  /** Only an agent has a prompt and a response to show. */
  readonly byAgent: boolean;
  readonly requestedAt: string;
  settledAt: string | null;
  refs: PayloadRef[];
  readonly policy: JsonObject[];
  gated: boolean;
  approval: {
    readonly decision: string;
    readonly by: Json;
    readonly at: string;
    readonly digest: string;
    readonly reason: PayloadRef | null;
  } | null;
  started: string | null;
  attempts: number;
  outcome: 'none' | 'succeeded' | 'failed';
  output: PayloadRef | null;
  readonly errors: JsonObject[];
}

const pageSize = 500;
/** Reconstructions at a time in one process, and for one principal: each takes the memory of several answers. */
const mostReaders = 4;
const mostOwnReaders = 1;
const readers = makeFairTurns({ each: mostOwnReaders, all: mostReaders });

/** Rebuilt from the record alone, in its own order (docs/spec/evidence.md, "Reading"). */
export function reconstruct(
  { deps, principal }: Pick<Caller, 'deps' | 'principal'>,
  row: ListedRun,
): Promise<ReconstructionJson> {
  return readers(principal.id, async () => {
    const telling = startReconstruction();
    for (let afterIndex = -1; ;) {
      const { items, more } = await readRecords(deps.pool, { run: row.id, afterIndex, limit: pageSize });
      for (const item of items) telling.add(item);
      afterIndex = items.at(-1)?.index ?? afterIndex;
      if (!more) break;
    }
    const actions = await readAllValues(deps, telling.actions);
    const sum = (of: 'omitted' | 'expected' | 'missing'): number =>
      actions.reduce((total, action) => total + action[of], 0);
    const [expected, missing] = [sum('expected'), sum('missing')];
    const omitted = sum('omitted') + telling.omitted();
    return {
      run: row.id,
      traceId: row.traceId,
      complete: missing === 0,
      score: expected === 0 ? 1 : Math.round(((expected - missing) / expected) * 1_000) / 1_000,
      ...(omitted === 0 ? {} : { omitted }),
      actions: actions.map(({ body }) => body),
    };
  });
}

interface Reconstruction {
  /** Takes the records of a run, in the order of its chain. */
  add(item: AuditItem): void;
  readonly actions: readonly ReconstructedAction[];
  /** How many verdicts come without the values that they read, which are in their records. */
  omitted(): number;
}

/** Assigns records to the actions that they are about. */
function startReconstruction(): Reconstruction {
  const actions: ReconstructedAction[] = [];
  const byId = new Map<string, ReconstructedAction>();
  /** Requests whose action no record has named yet, by transition. */
  const unnamed = new Map<string, Set<ReconstructedAction>>();
  const verdictOf = makeVerdictOf();
  let current: ReconstructedAction | null = null;
  let looseVerdicts: JsonObject[] = [];
  const begin = (item: AuditItem, transition: string): ReconstructedAction => {
    const added = newAction(item, transition);
    actions.push(added);
    unnamed.set(transition, (unnamed.get(transition) ?? new Set()).add(added));
    return added;
  };
  /** The action of this id; else the request that it belongs to; else a new action that nobody requested, such as an onEnter. */
  const find = (item: AuditItem, id: string, transition: string): ReconstructedAction => {
    const known = byId.get(id);
    if (known !== undefined) return known;
    const open = [...(unnamed.get(transition) ?? [])].filter(({ errors }) => errors.length === 0);
    const asked = open.find(({ refs }) => isSame(refs, refsOf(item)));
    const found = asked ?? open.find((each) => each === current) ?? begin(item, transition);
    unnamed.get(transition)?.delete(found);
    found.id = id;
    byId.set(id, found);
    return found;
  };
  const add = (item: AuditItem): void => {
    const transition = textOf(item.action, 'transition');
    const id = textOf(item.action, 'id');
    if (item.type === 'transition.requested') current = begin(item, transition);
    else if (item.type === 'chain.step') {
      current = begin(item, transition);
      current.policy.push(...looseVerdicts);
      looseVerdicts = [];
    } else if (transition === '') return;
    else if (id === '' && item.type === 'guard.evaluated' && item.actor['kind'] === 'runtime')
      looseVerdicts.push(verdictOf(item));
    else {
      const about = id === '' ? current : find(item, id, transition);
      if (about === null) return;
      applyRecord(about, item, verdictOf);
      if (about.errors.length > 0) unnamed.get(transition)?.delete(about);
    }
  };
  return { add, actions, omitted: verdictOf.omitted };
}

/** Whether both have the same payloads: each request has its own. */
function isSame(some: readonly PayloadRef[], others: readonly PayloadRef[]): boolean {
  return (
    some.length > 0 &&
    some.every(({ payload, role }) => others.some((o) => o.payload === payload && o.role === role))
  );
}

function newAction(item: AuditItem, transition: string): ReconstructedAction {
  return {
    id: null,
    transition,
    tool: textOf(item.action, 'tool') || null,
    byAgent: item.actor['kind'] === 'agent',
    requestedAt: item.time,
    settledAt: null,
    refs: refsOf(item),
    policy: [],
    gated: false,
    approval: null,
    started: null,
    attempts: 0,
    outcome: 'none',
    output: null,
    errors: [],
  };
}

function applyRecord(
  action: ReconstructedAction,
  item: AuditItem,
  verdictOf: (item: AuditItem) => JsonObject,
): void {
  action.tool = action.tool ?? (textOf(item.action, 'tool') || null);
  switch (item.type) {
    case 'guard.evaluated':
      return void action.policy.push(verdictOf(item));
    case 'policy.blocked':
    case 'transition.rejected':
      action.policy.push(verdictOf(item));
      action.settledAt = item.time;
      return void action.errors.push({
        code: textOf(item.data, 'code'),
        message: textOf(item.policy, 'reason') || textOf(item.data, 'message'),
        at: item.time,
      });
    case 'human.approval.requested':
      action.gated = true;
      if (action.refs.length === 0) action.refs = refsOf(item);
      return void action.policy.push({
        rule: 'gate',
        verdict: 'park',
        reason: 'an approval is needed',
        approval: item.approval,
        at: item.time,
      });
    case 'approval.decided':
      action.approval = {
        decision: textOf(item.data, 'decision'),
        by: { id: item.actor['id'] ?? '', kind: item.actor['kind'] ?? '' },
        at: item.time,
        digest: textOf(item.data, 'digest'),
        reason: refsOf(item).find((ref) => ref.role === 'reason') ?? null,
      };
      if (action.approval.decision === 'deny') action.settledAt = item.time;
      return;
    case 'run.transitioned':
      action.settledAt = action.settledAt ?? item.time;
      return;
    default:
      return applyExecutionRecord(action, item);
  }
}

function applyExecutionRecord(action: ReconstructedAction, item: AuditItem): void {
  if (item.type === 'executor.started') {
    action.started = action.started ?? item.time;
    action.attempts = Math.max(action.attempts, item.attempt ?? action.attempts + 1);
    if (action.refs.length === 0) action.refs = refsOf(item);
  } else if (item.type === 'executor.succeeded') {
    action.outcome = 'succeeded';
    action.settledAt = item.time;
    action.output = refsOf(item).find((ref) => ref.role === 'output') ?? null;
  } else if (item.type === 'executor.failed' || item.type === 'executor.unknown') {
    action.outcome = 'failed';
    action.settledAt = item.time;
    action.errors.push({
      attempt: item.attempt,
      errorClass: textOf(item.data, 'errorClass'),
      message: textOf(item.data, 'message'),
      at: item.time,
    });
  } else if (item.type === 'executor.retrying') {
    action.errors.push({ attempt: item.attempt, retry: item.data, at: item.time });
  } else if (item.type === 'approval.expired' || item.type === 'approval.revoked')
    action.settledAt = item.time;
}

/**
 * Makes verdicts of records, with the values that they read as far as an answer may carry them; beyond that with the record's
 * id.
 */
function makeVerdictOf(): { (item: AuditItem): JsonObject; omitted: () => number } {
  let left = mostAnswerBytes;
  let omitted = 0;
  const verdictOf = (item: AuditItem): JsonObject => {
    const verdict = {
      rule: textOf(item.policy, 'rule'),
      verdict: textOf(item.policy, 'verdict'),
      reason: textOf(item.policy, 'reason'),
      at: item.time,
    };
    left -= Buffer.byteLength(JSON.stringify(item.data));
    if (left >= 0) return { ...verdict, ...item.data, at: item.time };
    omitted += 1;
    return { ...verdict, record: item.id };
  };
  return Object.assign(verdictOf, { omitted: () => omitted });
}

function refsOf(item: AuditItem): PayloadRef[] {
  return item.refs as unknown as PayloadRef[];
}

function textOf(value: JsonObject | null, key: string): string {
  const found = value?.[key];
  return typeof found === 'string' ? found : '';
}
