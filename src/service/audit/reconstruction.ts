import { readRecords, type AuditItem } from '../../audit/index.js';
import type { ReconstructionJson } from '../../model/answer-types.js';
import type { Json, JsonObject } from '../../model/json.js';
import { mostAnswerBytes } from '../../model/limits.js';
import type { PayloadRef } from '../../model/records.js';
import type { ListedRun } from '../../store/runs.js';
import type { Caller } from '../caller.js';
import { showAll } from './reconstruction-values.js';
import { makeFairTurns } from '../seats.js';

/** One action as the record tells it; payloads by reference until they are read. */
export interface Told {
  /** Action id, once a record names it. */
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
/** Read at a time by one process, and for one principal: each takes as much memory as some answers. */
const mostReaders = 4;
const mostOwnReaders = 1;
const readers = makeFairTurns({ each: mostOwnReaders, all: mostReaders });

/** Rebuilt from the record alone, in its own order (docs/spec/evidence.md, "Reading"). */
export function reconstruct(
  { deps, principal }: Pick<Caller, 'deps' | 'principal'>,
  row: ListedRun,
): Promise<ReconstructionJson> {
  return readers(principal.id, async () => {
    const telling = beginTelling();
    for (let afterIndex = -1; ;) {
      const { items, more } = await readRecords(deps.pool, { run: row.id, afterIndex, limit: pageSize });
      for (const item of items) telling.take(item);
      afterIndex = items.at(-1)?.index ?? afterIndex;
      if (!more) break;
    }
    const actions = await showAll(deps, telling.told);
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

interface Telling {
  /** Records of one run, in the order of its chain. */
  take(item: AuditItem): void;
  readonly told: readonly Told[];
  /** Verdicts that stand without what they read: it is in their records. */
  omitted(): number;
}

/** To the actions that the records are about. */
function beginTelling(): Telling {
  const told: Told[] = [];
  const byId = new Map<string, Told>();
  /** Requests of which no record has named the action yet, by transition. */
  const unnamed = new Map<string, Set<Told>>();
  const verdictOf = withinBudget();
  let current: Told | null = null;
  let loose: JsonObject[] = [];
  const add = (item: AuditItem, transition: string): Told => {
    const added = begin(item, transition);
    told.push(added);
    unnamed.set(transition, (unnamed.get(transition) ?? new Set()).add(added));
    return added;
  };
  /** By its id; else the request that it belongs to; else one that nobody requested, such as an onEnter. */
  const find = (item: AuditItem, id: string, transition: string): Told => {
    const known = byId.get(id);
    if (known !== undefined) return known;
    const open = [...(unnamed.get(transition) ?? [])].filter(({ errors }) => errors.length === 0);
    const asked = open.find(({ refs }) => isSame(refs, refsOf(item)));
    const found = asked ?? open.find((each) => each === current) ?? add(item, transition);
    unnamed.get(transition)?.delete(found);
    found.id = id;
    byId.set(id, found);
    return found;
  };
  const take = (item: AuditItem): void => {
    const transition = textOf(item.action, 'transition');
    const id = textOf(item.action, 'id');
    if (item.type === 'transition.requested') current = add(item, transition);
    else if (item.type === 'chain.step') {
      current = add(item, transition);
      current.policy.push(...loose);
      loose = [];
    } else if (transition === '') return;
    else if (id === '' && item.type === 'guard.evaluated' && item.actor['kind'] === 'runtime')
      loose.push(verdictOf(item));
    else {
      const about = id === '' ? current : find(item, id, transition);
      if (about === null) return;
      note(about, item, verdictOf);
      if (about.errors.length > 0) unnamed.get(transition)?.delete(about);
    }
  };
  return { take, told, omitted: verdictOf.omitted };
}

/** Of the same values: each request has payloads of its own. */
function isSame(some: readonly PayloadRef[], others: readonly PayloadRef[]): boolean {
  return (
    some.length > 0 &&
    some.every(({ payload, role }) => others.some((o) => o.payload === payload && o.role === role))
  );
}

function begin(item: AuditItem, transition: string): Told {
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

function note(told: Told, item: AuditItem, verdictOf: (item: AuditItem) => JsonObject): void {
  told.tool = told.tool ?? (textOf(item.action, 'tool') || null);
  switch (item.type) {
    case 'guard.evaluated':
      return void told.policy.push(verdictOf(item));
    case 'policy.blocked':
    case 'transition.rejected':
      told.policy.push(verdictOf(item));
      told.settledAt = item.time;
      return void told.errors.push({
        code: textOf(item.data, 'code'),
        message: textOf(item.policy, 'reason') || textOf(item.data, 'message'),
        at: item.time,
      });
    case 'human.approval.requested':
      told.gated = true;
      if (told.refs.length === 0) told.refs = refsOf(item);
      return void told.policy.push({
        rule: 'gate',
        verdict: 'park',
        reason: 'an approval is needed',
        approval: item.approval,
        at: item.time,
      });
    case 'approval.decided':
      told.approval = {
        decision: textOf(item.data, 'decision'),
        by: { id: item.actor['id'] ?? '', kind: item.actor['kind'] ?? '' },
        at: item.time,
        digest: textOf(item.data, 'digest'),
        reason: refsOf(item).find((ref) => ref.role === 'reason') ?? null,
      };
      if (told.approval.decision === 'deny') told.settledAt = item.time;
      return;
    case 'run.transitioned':
      told.settledAt = told.settledAt ?? item.time;
      return;
    default:
      return noteExecution(told, item);
  }
}

function noteExecution(told: Told, item: AuditItem): void {
  if (item.type === 'executor.started') {
    told.started = told.started ?? item.time;
    told.attempts = Math.max(told.attempts, item.attempt ?? told.attempts + 1);
    if (told.refs.length === 0) told.refs = refsOf(item);
  } else if (item.type === 'executor.succeeded') {
    told.outcome = 'succeeded';
    told.settledAt = item.time;
    told.output = refsOf(item).find((ref) => ref.role === 'output') ?? null;
  } else if (item.type === 'executor.failed' || item.type === 'executor.unknown') {
    told.outcome = 'failed';
    told.settledAt = item.time;
    told.errors.push({
      attempt: item.attempt,
      errorClass: textOf(item.data, 'errorClass'),
      message: textOf(item.data, 'message'),
      at: item.time,
    });
  } else if (item.type === 'executor.retrying') {
    told.errors.push({ attempt: item.attempt, retry: item.data, at: item.time });
  } else if (item.type === 'approval.expired' || item.type === 'approval.revoked') told.settledAt = item.time;
}

/** With what it read, as far as one answer carries it; from there on its record has that, and is named. */
function withinBudget(): { (item: AuditItem): JsonObject; omitted: () => number } {
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
