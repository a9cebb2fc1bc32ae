import { giveWayBefore } from '../../model/give-way.js';
import type { Problem, RunStatus, ShownProblem } from '../../engine/state.js';
import { makeValues, queryPlanned, storeTime, write, type Queryable, type Tx } from '../../db/index.js';
import { decodeTimeCursor, toPage, type Page } from '../cursor.js';
import { viewerValues, visibleRunCondition, visibilityConditions, type Viewer } from './visibility.js';
import { equalsCondition, withoutNul } from '../text.js';

export interface RunRow {
  readonly id: string;
  readonly flow: string;
  readonly flowVersion: number;
  readonly planHash: string;
  readonly environment: string;
  readonly mode: 'live' | 'shadow';
  readonly namespace: string;
  readonly state: string;
  readonly status: RunStatus;
  readonly version: number;
  /** How many steps the run has taken; the kernel uses it as an optimistic lock. */
  readonly rev: number;
  readonly traceId: string;
  readonly startedBy: string;
  readonly startedByKind: string;
  readonly startedAt: string;
  readonly updatedAt: string;
  readonly problem: ShownProblem | null;
  /** The action whose effect is under way. */
  readonly executing: string | null;
  /** Canonical JSON of the run's document; null before the first step. */
  readonly doc: string | null;
  /** `sha256:<hex>` of `doc`. */
  readonly docDigest: string | null;
  readonly openApprovals: number;
  /** Bytes, as canonical JSON, of the arguments in its open approvals. */
  readonly openBytes: number;
  /** The task queue of the other deployment that owns the run; null: this deployment owns it. */
  readonly leftTo: string | null;
}

/** A run without its document, which may take megabytes. */
export type ListedRun = Omit<RunRow, 'doc'>;

const listed = `r.id, r.flow, r.flow_version as "flowVersion", r.plan_hash as "planHash", r.environment, r.mode, r.namespace, r.state, r.status,
  r.version, r.rev, r.trace_id as "traceId", r.started_by as "startedBy", r.started_by_kind as "startedByKind", r.started_at as "startedAt",
  r.updated_at as "updatedAt", r.problem, r.executing, r.doc_digest as "docDigest",
  r.open_approvals as "openApprovals", r.open_bytes as "openBytes", r.left_to as "leftTo"`;

const columns = `${listed}, r.doc`;

/** A run that has taken no step. */
export type NewRun = Omit<
  RunRow,
  | 'problem'
  | 'executing'
  | 'doc'
  | 'docDigest'
  | 'openApprovals'
  | 'openBytes'
  | 'leftTo'
  | 'rev'
  | 'version'
  | 'status'
>;

export async function insertRun(q: Queryable, run: NewRun): Promise<void> {
  await write(
    q,
    `insert into run (id, flow, flow_version, plan_hash, environment, mode, namespace, state, status, trace_id, started_by, started_by_kind, started_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, 'running', $9, $10, $11, $12, $13)`,
    [
      run.id,
      run.flow,
      run.flowVersion,
      run.planHash,
      run.environment,
      run.mode,
      run.namespace,
      run.state,
      run.traceId,
      run.startedBy,
      run.startedByKind,
      run.startedAt,
      run.updatedAt,
    ],
  );
}

export async function getRun(q: Queryable, id: string): Promise<RunRow | null> {
  const { rows } = await q.query<RunRow>(`select ${columns} from run r where r.id = $1`, [withoutNul(id)]);
  return firstOf(rows);
}

/** The first row; null: there is none. Gives way before a long document is used. */
async function firstOf([row]: readonly RunRow[]): Promise<RunRow | null> {
  await giveWayBefore(row?.doc?.length ?? 0);
  return row ?? null;
}

export async function getListedRun(q: Queryable, id: string): Promise<ListedRun | null> {
  const { rows } = await q.query<ListedRun>(`select ${listed} from run r where r.id = $1`, [withoutNul(id)]);
  return rows[0] ?? null;
}

/** Null: there is no such run, or this viewer may not see it. */
export async function getVisibleRun(q: Queryable, id: string, viewer: Viewer): Promise<ListedRun | null> {
  const { rows } = await q.query<ListedRun>(
    `select ${listed} from run r where r.id = $1 and ${visibleRunCondition(2)}`,
    [withoutNul(id), ...viewerValues(viewer)],
  );
  return rows[0] ?? null;
}

/** The first of this deployment's runs that are open and whose values were not erased; null: there is none. */
export async function findOldestOpen(q: Queryable): Promise<string | null> {
  const { rows } = await q.query<{ id: string }>(
    `select r.id from run r join payload_key k on k.run = r.id and k.wrapped is not null
      where r.status in ('running', 'waiting', 'stuck') and r.left_to is null order by r.started_at, r.id limit 1`,
  );
  return rows[0]?.id ?? null;
}

export async function lockRun(tx: Tx, id: string): Promise<RunRow | null> {
  const { rows } = await tx.query<RunRow>(`select ${columns} from run r where r.id = $1 for update`, [id]);
  return firstOf(rows);
}

/** Lets only one request at a time ask something of a run, so that each is judged after the request before. Steps do not wait for this. */
export async function lockForAsking(tx: Tx, id: string): Promise<void> {
  await write(tx, 'select pg_advisory_xact_lock(hashtextextended($1, 0))', [`door:${withoutNul(id)}`]);
}

/** Locks the run so that it does not change until the transaction ends. This waits for a step at work, and steps wait for this. */
export async function lockRunForShare(tx: Tx, id: string): Promise<RunRow | null> {
  const { rows } = await tx.query<RunRow>(`select ${columns} from run r where r.id = $1 for share`, [
    withoutNul(id),
  ]);
  return firstOf(rows);
}

export type RunChange = Pick<
  RunRow,
  | 'state'
  | 'status'
  | 'version'
  | 'rev'
  | 'updatedAt'
  | 'executing'
  | 'doc'
  | 'docDigest'
  | 'openApprovals'
  | 'openBytes'
> & {
  readonly problem: { readonly code: string; readonly message: string } | null;
  /** Epoch milliseconds by when the next deadline of the run should have had its effect; null: the run has none. */
  readonly checkAt: number | null;
};

/** Writes the outcome of a step; a trigger announces it on `countersign_run`. */
export async function updateRun(tx: Tx, id: string, run: RunChange): Promise<void> {
  await write(
    tx,
    `with changed as (
       update run set state = $2, status = $3, version = $4, rev = $5, updated_at = $6, problem = $7, executing = $8, doc = $9,
              doc_digest = $10, open_approvals = $11, open_bytes = $12, check_at = $13 where id = $1 returning id)
     select pg_notify('countersign_run', id) from changed`,
    [
      id,
      run.state,
      run.status,
      run.version,
      run.rev,
      run.updatedAt,
      run.problem === null ? null : JSON.stringify(run.problem),
      run.executing,
      run.doc,
      run.docDigest,
      run.openApprovals,
      run.openBytes,
      run.checkAt,
    ],
  );
}

/** Shows an open run with this status and problem, without a step. False: the run has ended, or is already shown so. */
export async function showUnstepped(
  tx: Tx,
  id: string,
  { status, problem }: Pick<RunRow, 'status' | 'problem'>,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `with changed as (
       update run set status = $2, problem = $3, updated_at = clock_timestamp()
        where id = $1 and status in ('running', 'waiting', 'stuck')
          and (status, problem::jsonb) is distinct from ($2, $3::jsonb) returning id)
     select pg_notify('countersign_run', id) from changed`,
    [id, status, problem === null ? null : JSON.stringify(problem)],
  );
  return rowCount === 1;
}

const withdrawn: Problem = {
  code: 'ENGINE_UNAVAILABLE',
  message: 'the workflow engine did not answer at the start; nothing ran',
};

/** The run's start was answered with 503, and never runs (ADR 4). A run that a worker has closed before it began is none of these. */
export function isWithdrawn({ rev, status, problem }: ListedRun): boolean {
  return rev === 0 && status === 'failed' && problem?.code === withdrawn.code;
}

/**
 * Closes a run whose caller is told that nothing runs. If the start reached Temporal all the same, the first step ends the workflow.
 * False: a worker has taken the first step before, or has closed the run over another problem, so the start has worked and only
 * Temporal's answer was lost.
 */
export async function closeUnstarted(tx: Tx, id: string, problem: Problem = withdrawn): Promise<boolean> {
  const row = await lockRun(tx, id);
  if (row === null || row.rev > 0) return false;
  if (row.status === 'failed') return isWithdrawn(row);
  await updateRun(tx, id, {
    state: row.state,
    status: 'failed',
    version: 0,
    rev: 0,
    updatedAt: await storeTime(tx),
    problem,
    executing: null,
    doc: null,
    docDigest: null,
    openApprovals: 0,
    openBytes: 0,
    checkAt: null,
  });
  await tx.query(
    'update message set withdrawn_at = clock_timestamp() where run = $1 and rev is null and answer is null and withdrawn_at is null',
    [id],
  );
  return true;
}

export interface RunFilter {
  readonly flow?: string | undefined;
  readonly state?: string | undefined;
  readonly status?: string | undefined;
  readonly environment?: string | undefined;
  readonly startedBy?: string | undefined;
  readonly viewer: Viewer;
  readonly limit: number;
  readonly cursor: string | null;
}

/** Runs, newest first. Null: this service made no such cursor. */
export async function listRuns(q: Queryable, filter: RunFilter): Promise<Page<ListedRun> | null> {
  const before = filter.cursor === null ? null : decodeTimeCursor(filter.cursor);
  if (filter.cursor !== null && before === null) return null;
  const values = makeValues();
  const { name } = values;
  const asked = [
    ...equalsCondition('r.flow', filter.flow, name),
    ...equalsCondition('r.state', filter.state, name),
    ...equalsCondition('r.status', filter.status, name),
    ...equalsCondition('r.environment', filter.environment, name),
    ...equalsCondition('r.started_by', filter.startedBy, name),
    ...(before === null
      ? []
      : [`(r.started_at, r.id) < (${name(before[0])}::timestamptz, ${name(before[1])})`]),
  ];
  const rest = `order by r.started_at desc, r.id desc limit ${name(filter.limit + 1)}`;
  const found = visibilityConditions(filter.viewer, name).map(
    (way) => `(select r.id, r.started_at from run r where ${[...asked, way].join(' and ')} ${rest})`,
  );
  const rows = await queryPlanned<ListedRun>(
    q,
    `select ${listed} from (${found.join(' union ')}) found join run r on r.id = found.id ${rest}`,
    values,
  );
  return toPage(rows, filter.limit, (row) => [row.startedAt, row.id]);
}

export async function countRuns(
  q: Queryable,
): Promise<{ environment: string; status: string; count: number }[]> {
  const { rows } = await q.query<{ environment: string; status: string; count: number }>(
    'select environment, status, count(*) as count from run group by 1, 2',
  );
  return rows;
}

export interface StepRow {
  readonly run: string;
  readonly rev: number;
  readonly eventKey: string;
  /** Digest of the document before the step; null: it was the first step. */
  readonly builtOn: string | null;
  /** Head of the run's audit chain after the step, `sha256:<hex>`. */
  readonly head: string;
  /** The stored result, as text. */
  readonly result: string;
}

const stepColumns = 'run, rev, event_key as "eventKey", built_on as "builtOn", head, result';

export async function putStep(tx: Tx, step: StepRow): Promise<void> {
  await write(
    tx,
    'insert into run_step (run, rev, event_key, built_on, head, result) values ($1, $2, $3, $4, $5, $6)',
    [step.run, step.rev, step.eventKey, step.builtOn, step.head, step.result],
  );
}

export async function getStep(q: Queryable, run: string, rev: number): Promise<StepRow | null> {
  const { rows } = await q.query<StepRow>(`select ${stepColumns} from run_step where run = $1 and rev = $2`, [
    run,
    rev,
  ]);
  return rows[0] ?? null;
}

export async function findStep(q: Queryable, run: string, eventKey: string): Promise<StepRow | null> {
  const { rows } = await q.query<StepRow>(
    `select ${stepColumns} from run_step where run = $1 and event_key = $2 order by rev desc limit 1`,
    [run, eventKey],
  );
  return rows[0] ?? null;
}

export async function getStepResults(q: Queryable, run: string): Promise<StepRow[]> {
  const { rows } = await q.query<StepRow>(`select ${stepColumns} from run_step where run = $1 order by rev`, [
    run,
  ]);
  return rows;
}
