import { canonical } from '../model/canonical.js';
import type { PolicySet } from '../model/policy-set.js';
import type { Plan } from '../engine/plan.js';
import type { Queryable, Tx } from '../db/index.js';
import { assertHash, sha256Text } from './text.js';

/** What was loaded: the policy set, and what the policy room needs to compile single flows against it. */
export interface LoadedPolicies {
  readonly policySet: PolicySet;
  readonly catalog: unknown;
  /** Names of the folder's flows. */
  readonly flows?: readonly string[];
}

/**
 * Whoever is to put another set in force compares and stores it alone: a second one compares with what the first has
 * stored.
 */
export async function lockPolicies(tx: Tx): Promise<void> {
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', ['policies']);
}

/**
 * Plans that flows begin with now, and those that runs are under way with: one after the other, since each may be
 * megabytes.
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

/** Stores it when it differs from the current one; tells whether it did. */
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
  /** Under which they may be cached. */
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
 * Of what is in force; null: nothing was loaded. What is cached is cached under it, and not under its number: that comes
 * again, with other policies, in a store that was restored.
 */
export async function policySetHash(q: Queryable): Promise<string | null> {
  const { rows } = await q.query<{ hash: string }>('select hash from policy_set order by seq desc limit 1');
  return rows[0]?.hash ?? null;
}

/** Environments that workers are for: those that the policies declare, and those in which runs are under way still. */
export async function environmentsToServe(q: Queryable, policySet: PolicySet): Promise<readonly string[]> {
  const { rows } = await q.query<{ environment: string }>(
    `select distinct environment from run where status in ('running', 'waiting', 'stuck')`,
  );
  const declared = policySet.environments.map(({ name }) => name);
  return [...new Set([...declared, ...rows.map((row) => row.environment)])];
}
