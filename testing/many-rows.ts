import type pg from 'pg';

// Fills a store with as many rows as years of use would: Postgres copies a run that waits for an approval.

export interface StoreSizes {
  readonly runs: number;
  /** How many approvals are open, each in a run of its own: the first runs have them. */
  readonly approvals: number;
  /** How many approvals are closed: the runs after the first ones have them. */
  readonly closedApprovals: number;
  /** About how many audit records there are: the last runs have them. */
  readonly records: number;
}

export interface Original {
  readonly run: string;
  readonly approval: string;
  /** PayloadRefs of other arguments, which the copies take in turn. */
  readonly payloads?: readonly object[];
}

export type Ask = (statement: string, values?: readonly unknown[]) => Promise<pg.QueryResult>;

/** SQL for the id of the nth copy of a run. */
const runId = `'run_' || lpad(n::text, 32, '0')`;
const approvalId = `'apr_' || lpad(n::text, 32, '0')`;
const actionId = `'act_' || lpad(n::text, 32, '0')`;
const chunk = 50_000;
const repeats = 3;

/** The ids of the copies, which are numbered from 1. */
export const copies = {
  run: (n: number): string => `run_${String(n).padStart(32, '0')}`,
  approval: (n: number): string => `apr_${String(n).padStart(32, '0')}`,
};

/** `say` is called after each part. */
export async function fillStore(
  ask: Ask,
  original: Original,
  sizes: StoreSizes,
  say: (line: string) => void = () => undefined,
): Promise<void> {
  for (const [from, to] of chunks(1, sizes.runs)) {
    await ask(insertRuns, [original.run, from, to, sizes.approvals, sizes.runs]);
    say(`${to} runs`);
  }
  const payloads = JSON.stringify(original.payloads ?? []);
  for (const [from, to] of chunks(1, Math.min(sizes.approvals + sizes.closedApprovals, sizes.runs))) {
    await ask(insertActions, [original.approval, from, to]);
    await ask(insertApprovals, [original.approval, from, to, sizes.approvals, payloads]);
    say(`${to} approvals`);
  }
  await fillRecord(ask, original, sizes, say);
  await ask('analyze');
}

async function fillRecord(
  ask: Ask,
  { run }: Original,
  { runs, records }: StoreSizes,
  say: (line: string) => void,
): Promise<void> {
  const { rows } = await ask(
    `select count(*)::int * ${repeats} + 1 as count from audit_record where run = $1`,
    [run],
  );
  const { count } = rows[0] as { readonly count: number };
  const first = Math.max(1, runs - Math.ceil(records / count) + 1);
  await ask(
    `insert into audit_chain (chain, run, size) values ('svc_copies', false, 0) on conflict do nothing`,
  );
  for (const [from, to] of chunks(first, runs)) {
    await ask(insertChains, [from, to, count - 1]);
    await ask(insertRecords, [run, from, to]);
    say(`${(to - first + 1) * count} records`);
  }
  await ask(`insert into audit_log (index, seq)
    select (select size from audit_head) + row_number() over (order by seq) - 1, seq from audit_record r
     where not exists (select 1 from audit_log l where l.seq = r.seq)`);
  await ask('delete from audit_pending');
  await ask('update audit_head set size = (select count(*) from audit_log)');
}

function chunks(first: number, last: number): [number, number][] {
  const found: [number, number][] = [];
  for (let from = first; from <= last; from += chunk) found.push([from, Math.min(from + chunk - 1, last)]);
  return found;
}

/** Runs of many flows and people, most of them of one flow and one person; their times are not in the order of their ids. */
const insertRuns = `
  insert into run (id, flow, flow_version, plan_hash, environment, mode, namespace, state, status, version, rev, trace_id,
    started_by, started_by_kind, started_at, updated_at, doc, doc_digest, open_approvals, open_bytes)
  select ${runId}, case when n <= $4 or n % 10 < 7 then t.flow else 'flow_' || n % 50 end, t.flow_version, t.plan_hash,
    case when n % 50 = 0 then 'staging' else t.environment end, t.mode, t.namespace,
    case when n <= $4 then t.state else 'state_' || n % 20 end,
    case when n <= $4 then t.status when n % 100 = 0 then 'failed' when n % 1000 = 1 then 'stuck' else 'completed' end,
    t.version, t.rev, 'trc_' || n, case when n % 10 = 0 then 'person_' || n % 1000 else t.started_by end, t.started_by_kind,
    t.started_at - ((n::bigint * 7919) % $5) * interval '1 second', t.updated_at,
    case when n <= $4 then t.doc else '{}' end, t.doc_digest, t.open_approvals, t.open_bytes
  from run t, generate_series($2::int, $3::int) n where t.id = $1`;

const insertActions = `
  insert into action (id, run, transition, tool, status, requested_by, digest, approval, created_at, updated_at)
  select ${actionId}, ${runId}, c.transition, c.tool, c.status, c.requested_by, c.digest, ${approvalId}, c.created_at, c.updated_at
  from approval t join action c on c.id = t.action, generate_series($2::int, $3::int) n where t.id = $1`;

/** Approvals of every risk; every fourth one asks for another role than the original does. */
const insertApprovals = `
  with refs as materialized (
    select row_number() over () - 1 as at, value::text as ref from json_array_elements($5::json))
  insert into approval (id, run, action, flow, environment, transition, status, roles, requested_by, requested_at, expires_at, digest,
    doc, updated_at, tool, tier, risk, search, state, state_at, closed_at, outcome)
  select ${approvalId}, ${runId}, ${actionId}, t.flow, t.environment, t.transition,
    case when n <= $4 then t.status when n % 5 = 0 then 'denied' else 'consumed' end,
    case when n % 4 = 0 then array['role_' || n % 100] else t.roles end, t.requested_by,
    t.requested_at - ((n::bigint * 7919) % $4) * interval '1 second', t.expires_at, t.digest,
    case when refs.ref is null then t.doc else replace(t.doc::text, (t.doc -> 'argumentsRef')::text, refs.ref)::json end,
    t.updated_at, t.tool, t.tier, 1 + n % 3, t.search,
    case when n <= $4 then replace(replace(replace(t.state::text, t.id, ${approvalId}), t.action, ${actionId}),
      '"' || t.roles[1] || '"', '"' || case when n % 4 = 0 then 'role_' || n % 100 else t.roles[1] end || '"')::json end, t.updated_at,
    case when n > $4 then t.updated_at end, case when n <= $4 then null when n % 5 = 0 then 'denied' else 'approved' end
  from approval t cross join generate_series($2::int, $3::int) n
    left join refs on refs.at = n % greatest((select count(*) from refs), 1) where t.id = $1`;

const insertChains = `
  insert into audit_chain (chain, run, size, closed)
  select ${runId}, true, $3, true from generate_series($1::int, $2::int) n`;

/** Each run gets the original's records several times, as many as a long run has, and a record of the service about the run. */
const insertRecords = `
  insert into audit_record (id, chain, runseq, event_key, fact, body, hash, run, about, type, time, flow, environment, trace_id,
    actor, actor_kind, verdict)
  select c.* from generate_series($2::int, $3::int) n join run r on r.id = ${runId}, lateral (
    select t.id || '_' || n || '_' || k, r.id, k * (max(t.runseq) over () + 1) + t.runseq, t.event_key || '_' || n || '_' || k, t.fact,
      convert_to(replace(convert_from(t.body, 'UTF8'), t.run, r.id), 'UTF8'), t.hash, r.id, t.about, t.type,
      t.time + n * interval '1 second', r.flow, r.environment, r.trace_id,
      case when t.actor = '' or n % 10 <> 0 then t.actor else r.started_by end, t.actor_kind, t.verdict
    from audit_record t, generate_series(0, ${repeats - 1}) k where t.run = $1
    union all
    select 'rec_about_' || n, 'svc_copies', n, 'about_' || n, t.fact, t.body, t.hash, '', r.id, 'api.called',
      t.time + n * interval '1 second', r.flow, r.environment, r.trace_id, t.actor, t.actor_kind, ''
    from audit_record t where t.run = $1 and t.runseq = 0
    order by 3) c
  order by n`;
