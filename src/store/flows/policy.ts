import { canonical } from '../../model/values/canonical.js';
import type { PolicySet } from '../../model/policy-set.js';
import type { Plan } from '../../engine/plan.js';
import type { Queryable, Tx } from '../../db/index.js';
import { assertHash, sha256Text } from '../text.js';

/** Loaded policies: the policy set, and what the policy room needs to compile single flows against it. */
export interface LoadedPolicies {
  readonly policySet: PolicySet;
  readonly catalog: unknown;
  /** Names of the folder's flows. */
  readonly flows?: readonly string[];
}

/**
 * Lets only one transaction at a time put policies in force, so that a second one compares with what the first has stored.
 */
export async function lockPolicies(tx: Tx): Promise<void> {
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', ['policies']);
}

/**
 * The plans with which new runs begin, and those of open runs. One at a time, since a plan may take megabytes.
 */
export async function* plansInForce(q: Queryable): AsyncGenerator<Plan> {
  const { rows } = await q.query<{ hash: string }>(
    `select hash from plan where hash in (
       select plan_hash from run where status in ('running', 'waiting', 'stuck')
       union
       select plan_hash from (
         select distinct on (name, environment) name, plan_hash from flow_version order by name, environment, version desc) v
        where not exists (select 1 from flow_withdrawal w where w.name = v.name))`,
  );
  for (const { hash } of rows) {
    const { rows: found } = await q.query<{ body: string }>('select body from plan where hash = $1', [hash]);
    if (found[0] !== undefined) yield JSON.parse(found[0].body) as Plan;
  }
}

/** Stores the policies if they differ from the current ones. Gives whether they did. */
export async function putPolicies(
  q: Queryable,
  loaded: LoadedPolicies,
): Promise<{ changed: boolean; hash: string }> {
  const body = canonical(loaded);
  const hash = sha256Text(body);
  const { rowCount } = await q.query(
    `insert into policy_set (hash, body) select $1, $2 where $1 is distinct from (select hash from policy_set order by seq desc limit 1)`,
    [hash, body],
  );
  return { changed: rowCount === 1, hash };
}

export async function currentPolicies(q: Queryable): Promise<LoadedPolicies | null> {
  return (await policiesInForce(q))?.policies ?? null;
}

export interface PoliciesInForce {
  /** The hash under which the policies may be cached. */
  readonly hash: string;
  readonly policies: LoadedPolicies;
}

export async function policiesInForce(q: Queryable): Promise<PoliciesInForce | null> {
  const { rows } = await q.query<{ hash: string; body: string }>(
    'select hash, body from policy_set order by seq desc limit 1',
  );
  if (rows[0] === undefined) return null;
  const { hash, body } = rows[0];
  return { hash, policies: JSON.parse(assertHash('policy set', hash, body)) as LoadedPolicies };
}

export async function currentPolicySet(q: Queryable): Promise<PolicySet | null> {
  return (await currentPolicies(q))?.policySet ?? null;
}

/**
 * The hash of the policies in force; null: none were loaded. Caches use this hash, not the number of the policies: after a store was
 * restored, a number can come again with other policies.
 */
export async function policySetHash(q: Queryable): Promise<string | null> {
  const { rows } = await q.query<{ hash: string }>('select hash from policy_set order by seq desc limit 1');
  return rows[0]?.hash ?? null;
}

/** The environments that workers serve: those that the policies declare, and those in which runs are still open. */
export async function environmentsToServe(q: Queryable, policySet: PolicySet): Promise<readonly string[]> {
  const { rows } = await q.query<{ environment: string }>(
    `select distinct environment from run where status in ('running', 'waiting', 'stuck')`,
  );
  const declared = policySet.environments.map(({ name }) => name);
  return [...new Set([...declared, ...rows.map((row) => row.environment)])];
}
