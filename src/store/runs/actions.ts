import type { ActionStatus, Problem } from '../../engine/state.js';
import type { PayloadRef } from '../../model/records.js';
import { write, type Queryable, type Tx } from '../../db/index.js';
import { withoutNul } from '../text.js';
import { liveProcesses } from '../processes/workers.js';

export interface ActionRow {
  readonly id: string;
  readonly run: string;
  readonly transition: string;
  readonly tool: string | null;
  readonly status: ActionStatus;
  readonly requestedBy: string;
  readonly digest: string;
  readonly approval: string | null;
  readonly outputRef: PayloadRef | null;
  readonly error: Problem | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

const columns = `id, run, transition, tool, status, requested_by as "requestedBy", digest, approval, output_ref as "outputRef", error,
  created_at as "createdAt", updated_at as "updatedAt"`;

export async function upsertAction(tx: Tx, action: ActionRow): Promise<void> {
  await write(
    tx,
    `insert into action (id, run, transition, tool, status, requested_by, digest, approval, output_ref, error, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
     on conflict (id) do update set status = excluded.status, approval = excluded.approval, updated_at = excluded.updated_at,
       output_ref = coalesce(excluded.output_ref, action.output_ref), error = excluded.error`,
    [
      action.id,
      action.run,
      action.transition,
      action.tool,
      action.status,
      action.requestedBy,
      action.digest,
      action.approval,
      action.outputRef === null ? null : JSON.stringify(action.outputRef),
      action.error === null ? null : JSON.stringify(action.error),
      action.createdAt,
      action.updatedAt,
    ],
  );
}

export async function getAction(q: Queryable, id: string): Promise<ActionRow | null> {
  const { rows } = await q.query<ActionRow>(`select ${columns} from action where id = $1`, [withoutNul(id)]);
  return rows[0] ?? null;
}

// --- grants: single use, for exactly one digest ---------------------------------------------------

export async function putGrant(
  tx: Tx,
  grant: { readonly action: string; readonly run: string; readonly digest: string },
): Promise<void> {
  await write(
    tx,
    'insert into execution_grant (action, run, digest) values ($1, $2, $3) on conflict do nothing',
    [grant.action, grant.run, grant.digest],
  );
}

export interface Grant {
  readonly digest: string;
  readonly consumed: boolean;
}

/** Locks the action's grant until the transaction ends; null: it has none. */
export async function lockGrant(tx: Tx, action: string): Promise<Grant | null> {
  const { rows } = await tx.query<Grant>(
    'select digest, consumed_at is not null as consumed from execution_grant where action = $1 for update',
    [action],
  );
  return rows[0] ?? null;
}

/** `grant` is what `lockGrant` gave in this transaction. */
export async function consumeGrant(
  tx: Tx,
  action: string,
  digest: string,
  grant: Grant | null,
): Promise<'consumed' | 'already' | 'missing' | 'mismatch'> {
  if (grant === null) return 'missing';
  if (grant.digest !== digest) return 'mismatch';
  if (grant.consumed) return 'already';
  await write(tx, 'update execution_grant set consumed_at = now() where action = $1', [action]);
  return 'consumed';
}

// --- attempts: intent before, outcome after -------------------------------------------------------

/** Who makes an attempt. */
export interface Holder {
  /** The execution: Temporal's run id and activity id. */
  readonly owner: string;
  /** The worker process that makes the call, by its id in `worker_process`. */
  readonly process: string;
}

export interface AttemptRow extends Holder {
  readonly action: string;
  readonly attempt: number;
  /** 0 is the step's own executor, n is its nth fallback. */
  readonly executor: number;
  readonly idempotencyKey: string;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  /** Null: the attempt was started, and its end is not known. */
  readonly outcome: 'succeeded' | 'failed' | 'unknown' | null;
  readonly errorClass: string | null;
  /** True unless it is known that the effect has not happened. */
  readonly effectPossible: boolean;
  /** The target answered with a failure of its own, which may have come after the effect. */
  readonly effectInDoubt: boolean;
  /** When the next attempt is due; null: no next attempt is planned. */
  readonly nextAt: string | null;
}

/** Who makes an attempt, and for how many milliseconds nobody else may make one under its key. */
export interface Lease extends Holder {
  readonly leaseMs: number;
}

export async function startAttempt(
  tx: Tx,
  attempt: Pick<AttemptRow, 'action' | 'attempt' | 'executor' | 'idempotencyKey' | 'startedAt'>,
  { owner, process, leaseMs }: Lease,
): Promise<void> {
  await write(
    tx,
    `insert into execution_attempt (action, attempt, executor, idempotency_key, started_at, owner, process, lease_until)
     values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $8 * interval '1 millisecond')`,
    [
      attempt.action,
      attempt.attempt,
      attempt.executor,
      attempt.idempotencyKey,
      attempt.startedAt,
      owner,
      process,
      leaseMs,
    ],
  );
}

/** Gives an attempt whose worker was lost to this execution, which makes it again. */
export async function takeOverAttempt(
  tx: Tx,
  { action, attempt }: Pick<AttemptRow, 'action' | 'attempt'>,
  { owner, process, leaseMs }: Lease,
): Promise<void> {
  await write(
    tx,
    `update execution_attempt set owner = $3, process = $4, lease_until = clock_timestamp() + $5 * interval '1 millisecond'
      where action = $1 and attempt = $2`,
    [action, attempt, owner, process, leaseMs],
  );
}

/**
 * Milliseconds until no other call under this key can still be under way; null: none is. A lease ends early when its process has
 * gone silent. It does not end early for an attempt of another execution whose end is not on record, because Temporal has not
 * said that this execution is lost.
 */
export async function leasedFor(
  q: Queryable,
  key: string,
  { owner, process }: Holder,
): Promise<number | null> {
  const { rows } = await q.query<{ ms: number | null }>(
    `select ceil(extract(epoch from max(lease_until) - clock_timestamp()) * 1000)::double precision as ms from execution_attempt
      where idempotency_key = $1 and lease_until > clock_timestamp() and not (owner = $2 and process = $3)
        and ((outcome is null and owner <> $2) or process in (${liveProcesses}))`,
    [key, owner, process],
  );
  return rows[0]?.ms ?? null;
}

/** Ends the lease of an attempt whose call is over, whatever its run was told meanwhile. Leaves another execution's attempt alone. */
export async function endLease(
  tx: Tx,
  { action, attempt }: Pick<AttemptRow, 'action' | 'attempt'>,
  { owner, process }: Holder,
): Promise<void> {
  await write(
    tx,
    `update execution_attempt set lease_until = null
      where action = $1 and attempt = $2 and owner = $3 and process = $4`,
    [action, attempt, owner, process],
  );
}

/** `over`: the holder whose call has ended with the attempt; null: the call may still be under way, and the lease stays. */
export async function finishAttempt(
  tx: Tx,
  attempt: Omit<
    AttemptRow,
    'startedAt' | 'executor' | 'idempotencyKey' | 'owner' | 'process' | 'effectInDoubt'
  > &
    Partial<Pick<AttemptRow, 'effectInDoubt'>>,
  over: Holder | null,
): Promise<void> {
  await write(
    tx,
    `update execution_attempt set finished_at = $3, outcome = $4, error_class = $5, effect_possible = $6, next_at = $7,
            effect_in_doubt = $10,
            lease_until = case when owner = $8 and process = $9 then null else lease_until end
      where action = $1 and attempt = $2`,
    [
      attempt.action,
      attempt.attempt,
      attempt.finishedAt,
      attempt.outcome,
      attempt.errorClass,
      attempt.effectPossible,
      attempt.nextAt,
      over?.owner ?? null,
      over?.process ?? null,
      attempt.effectInDoubt ?? false,
    ],
  );
}

export async function listAttempts(q: Queryable, action: string): Promise<AttemptRow[]> {
  const { rows } = await q.query<AttemptRow>(
    `select action, attempt, executor, idempotency_key as "idempotencyKey", started_at as "startedAt",
            finished_at as "finishedAt", outcome, error_class as "errorClass", effect_possible as "effectPossible",
            effect_in_doubt as "effectInDoubt", next_at as "nextAt", owner, process
       from execution_attempt where action = $1 order by attempt`,
    [action],
  );
  return rows;
}

/**
 * The state of the action's call. `under_way`: its worker lives and its time is not over. `lost`: it waits to be made again, or to be
 * taken for unknown. `none`: every attempt of the action has ended.
 */
export async function findCallState(q: Queryable, action: string): Promise<'under_way' | 'lost' | 'none'> {
  const { rows } = await q.query<{ lives: boolean | null }>(
    `select bool_or(coalesce(lease_until > clock_timestamp(), false) and process in (${liveProcesses})) as lives
       from execution_attempt where action = $1 and outcome is null`,
    [action],
  );
  const lives = rows[0]?.lives ?? null;
  if (lives === null) return 'none';
  return lives ? 'under_way' : 'lost';
}

/**
 * What is known of the effects of other attempts. `none`: none has happened. `in_doubt`: a target failed in a way that does not say
 * whether its effect happened. `possible`: an effect has happened, or nobody knows that it has not.
 */
export type EarlierEffect = 'none' | 'in_doubt' | 'possible';

/** What is known of the attempts under this key, which resubmissions share. */
export async function findEarlierEffect(
  q: Queryable,
  key: string,
  except: Pick<AttemptRow, 'action' | 'attempt'>,
): Promise<EarlierEffect> {
  const { rows } = await q.query<{ possible: boolean | null }>(
    `select bool_or(effect_possible) as possible from execution_attempt
      where idempotency_key = $1 and (effect_possible or effect_in_doubt) and not (action = $2 and attempt = $3)`,
    [key, except.action, except.attempt],
  );
  const possible = rows[0]?.possible ?? null;
  if (possible === null) return 'none';
  return possible ? 'possible' : 'in_doubt';
}
