import { readRecords, type AuditItem } from '../audit/index.js';
import type { Json, JsonObject } from '../model/json.js';
import type { PayloadRef } from '../model/records.js';
import type { RunRow } from '../store/runs.js';
import type { ApiDeps } from './deps.js';
import { showAll } from './reconstruction-values.js';

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

/** Rebuilt from the record alone, in its own order (EVIDENCE.md, "Reading"). */
export async function reconstruct(deps: ApiDeps, row: RunRow): Promise<JsonObject> {
  const items: AuditItem[] = [];
  for (;;) {
    const { items: more } = await readRecords(deps.pool, {
      run: row.id,
      afterIndex: items.at(-1)?.index ?? -1,
      limit: pageSize,
    });
    items.push(...more);
    if (more.length < pageSize) break;
  }
  const actions = await showAll(deps, tell(items));
  const omitted = actions.reduce((sum, one) => sum + one.omitted, 0);
  const expected = actions.reduce((sum, one) => sum + one.expected, 0);
  const missing = actions.reduce((sum, one) => sum + one.missing, 0);
  const score = expected === 0 ? 1 : Math.round(((expected - missing) / expected) * 1_000) / 1_000;
  return {
    run: row.id,
    traceId: row.traceId,
    complete: missing === 0,
    score,
    ...(omitted === 0 ? {} : { omitted }),
    actions: actions.map((one) => one.body),
  };
}

/** Pure: records of one run, in the order of its chain, to the actions that they are about. */
export function tell(items: readonly AuditItem[]): Told[] {
  const told: Told[] = [];
  let current: Told | null = null;
  let loose: JsonObject[] = [];
  for (const item of items) {
    const transition = textOf(item.action, 'transition');
    const id = textOf(item.action, 'id');
    if (item.type === 'transition.requested') told.push((current = begin(item, transition)));
    else if (item.type === 'chain.step') {
      told.push((current = begin(item, transition)));
      current.policy.push(...loose);
      loose = [];
    } else if (transition === '') continue;
    else if (id === '' && item.type === 'guard.evaluated' && item.actor['kind'] === 'runtime')
      loose.push(verdictOf(item));
    else {
      const about: Told | null = id === '' ? current : find(told, current, item, id, transition);
      if (about !== null) note(about, item);
    }
  }
  return told;
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

/** By its id; else the request that it belongs to; else one that nobody requested, such as an onEnter. */
function find(told: Told[], current: Told | null, item: AuditItem, id: string, transition: string): Told {
  const known = told.find((one) => one.id === id);
  if (known !== undefined) return known;
  const open =
    current?.id === null && current.transition === transition && current.errors.length === 0 ? current : null;
  const found = open ?? begin(item, transition);
  if (open === null) told.push(found);
  found.id = id;
  return found;
}

function note(told: Told, item: AuditItem): void {
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

function verdictOf(item: AuditItem): JsonObject {
  return {
    rule: textOf(item.policy, 'rule'),
    verdict: textOf(item.policy, 'verdict'),
    reason: textOf(item.policy, 'reason'),
    ...item.data,
    at: item.time,
  };
}

function refsOf(item: AuditItem): PayloadRef[] {
  return item.refs as unknown as PayloadRef[];
}

function textOf(value: JsonObject | null, key: string): string {
  const found = value?.[key];
  return typeof found === 'string' ? found : '';
}
