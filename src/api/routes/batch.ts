import { createHash } from 'node:crypto';
import { z } from 'zod';
import * as api from '../../model/api.js';
import * as inbox from '../../model/api-inbox-answers.js';
import type { JsonObject } from '../../model/json.js';
import { getDecision } from '../../store/decisions.js';
import { visibleApproval, type FoundApproval } from '../approvals/body.js';
import { issueToken, tokenHolds } from '../approvals/batch-token.js';
import { answer, effectId, jsonBody, route, type Call, type Reply, type Route } from '../http/call.js';
import { decide, judge, refuse, tellDecider } from '../approvals/decide.js';
import { authenticate } from '../http/identify.js';
import { inLanes } from '../http/lanes.js';
import { invalid, problem, statusOf, type Problem } from '../contract/problem.js';

type Batch = z.output<typeof api.batchBody>;
type Item = Batch['decisions'][number];
type Fields = Record<string, JsonObject[string]>;

export const batchRoutes: readonly Route[] = [
  route({
    id: 'decideBatch',
    method: 'POST',
    path: '/v1/approvals/batch',
    tag: 'Approvals',
    summary:
      'Decide up to 100 approvals: a dry run first, whose `token` the real call names. `mode: all` decides nothing unless each would be taken, and stops at the first that is refused after all',
    idempotent: true,
    params: z.object({}),
    query: api.noQuery,
    body: jsonBody(api.batchBody),
    approvalsIn,
    answers: { 200: { description: 'one result each, in the same order', schema: inbox.batch } },
    errors: ['DRY_RUN_REQUIRED', 'BATCH_REFUSED'],
    handle: (call, { body }) => decideBatch(call, body),
  }),
];

function approvalsIn(body: unknown, kept: unknown): readonly string[] {
  const read = api.batchBody.safeParse(body);
  const told = keptResults.safeParse(kept);
  const unknown = told.success ? told.data.results.filter(tellsNothing).map(({ approval }) => approval) : [];
  return read.success
    ? read.data.decisions.map(({ approval }) => approval).filter((id) => !unknown.includes(id))
    : [];
}

/** Of a batch's answer, and of its refusal. */
const keptResults = z.object({
  results: z.array(
    z.object({ approval: z.string(), code: z.string().optional(), summary: z.unknown().optional() }),
  ),
});

/** That it is not there, or not for the caller to see, is all that is said of it. */
function tellsNothing({ code, summary }: z.output<typeof keptResults>['results'][number]): boolean {
  return code === 'NOT_FOUND' && summary === undefined;
}

/** Runs at once; the approvals of one run go one after the other. */
const lanes = 10;
/** How long one decision waits for its run, and all of them together: what is not answered by then is kept, and `accepted`. */
const itemMs = 3_000;
const mostMs = 10_000;

async function decideBatch(call: Call, batch: Batch): Promise<Reply> {
  const twice = batch.decisions.findIndex(
    ({ approval }, index) => batch.decisions.findIndex((one) => one.approval === approval) !== index,
  );
  if (twice !== -1)
    return invalid('one approval is decided twice in this batch', [
      { pointer: `/decisions/${twice}/approval`, message: 'is there already: name each approval once' },
    ]);
  const isBegun = !batch.dryRun && (await wasBegun(call, batch));
  if (!batch.dryRun && !isBegun && !tokenHolds(call, batch))
    return problem(
      'DRY_RUN_REQUIRED',
      'send `token`: the one that a dry run over exactly these decisions, in this mode, gave you within the last 15 minutes',
    );
  const checked = await inLanes(batch.decisions, lanes, (item) => check(call, item));
  const ok = checked.every((one) => one.refused === null);
  if (batch.dryRun) return dryRun(call, batch, checked, ok);
  if (batch.mode === 'all' && !ok && !isBegun) return refuseAll(call, checked);
  return make(call, batch, checked);
}

/** An earlier attempt of this request has made some of it, under a token that held then: what stands is told, and the rest made. */
async function wasBegun(call: Call, { decisions }: Batch): Promise<boolean> {
  if (call.held === null) return false;
  const made = await inLanes(decisions, lanes, (item) =>
    getDecision(call.deps.pool, effectId({ ...call, effect: effectOf(call, item) }, 'dec')),
  );
  return made.some((one) => one !== null);
}

interface Checked {
  readonly item: Item;
  /** A call of its own: what it is about, and what it leaves, is this decision's. */
  readonly call: Call;
  readonly found: FoundApproval | null;
  readonly refused: Problem | null;
}

async function check(call: Call, item: Item): Promise<Checked> {
  const own: Call = { ...call, effect: effectOf(call, item), about: null, visible: false, facts: [] };
  const found = await visibleApproval(own, item.approval);
  if (found.kind === 'problem') return { item, call: own, found: null, refused: found };
  const judged = await judge(
    own,
    async () => (await irreversible(own, found)) ?? (await refuse(own, found, item)),
  );
  const told = judged.kind === 'problem' ? await tellDecider(own, item.approval, judged) : null;
  return { item, call: own, found, refused: told };
}

/** The same in a repeated request, another for each approval. */
function effectOf(call: Call, { approval }: Item): string {
  return createHash('sha256').update(`${call.effect}:${approval}`).digest('hex').slice(0, 32);
}

async function irreversible(call: Call, { row }: FoundApproval): Promise<Problem | null> {
  const { tier } = row.doc;
  if (tier === 'read_only' || tier === 'reversible') return null;
  const set = await call.deps.policies.policySet();
  const allowed = set?.environments.find((one) => one.name === row.environment)?.batchIrreversible === true;
  if (allowed) return null;
  const what = tier === null ? 'has no tier, so it counts as irreversible' : 'cannot be undone';
  return problem(
    'BATCH_IRREVERSIBLE',
    `\`${row.doc.tool ?? row.transition}\` ${what}: decide it by itself, or let the environment \`${row.environment}\` say \`batchIrreversible: true\``,
  );
}

function dryRun(call: Call, batch: Batch, checked: readonly Checked[], ok: boolean): Reply {
  const useful = batch.mode === 'all' ? ok : checked.some((one) => one.refused === null);
  return answer(200, {
    dryRun: true,
    mode: batch.mode,
    ok,
    ...(useful ? issueToken(call, batch) : {}),
    results: checked.map((one) =>
      one.refused === null ? { ...shown(one), status: 'would_apply' } : refusedItem(one, one.refused),
    ),
  });
}

function shown({ item, found }: Checked): Fields {
  const { approval, decision } = item;
  if (found === null) return { approval, decision };
  const { summary, consequence, tier } = found.row.doc;
  return { approval, decision, summary, consequence, tier };
}

function refusedItem(one: Checked, { code, detail, extra }: Problem): Fields {
  const { decidedBy, decidedAt } = extra;
  return {
    ...shown(one),
    status: 'refused',
    code,
    detail,
    ...(decidedBy === undefined ? {} : { decidedBy, decidedAt: decidedAt ?? null }),
  };
}

/** Nothing was sent to any run. Each refusal is recorded with its own run. */
function refuseAll(call: Call, checked: readonly Checked[]): Problem {
  for (const one of checked) if (one.refused !== null) leave(call, one, one.refused);
  const count = checked.filter((one) => one.refused !== null).length;
  return problem(
    'BATCH_REFUSED',
    `${count} of ${checked.length} decisions would be refused, so none was made: see \`results\`, or send \`mode: each\``,
    {
      results: checked.map((one) =>
        one.refused === null ? { ...shown(one), status: 'would_apply' } : refusedItem(one, one.refused),
      ),
    },
  );
}

/** How far a batch has come. */
interface Making {
  /** Nothing is decided any more once one is refused. */
  readonly isAll: boolean;
  readonly until: number;
  hasRefused: boolean;
  /** The credential is not valid any more, so that it decides nothing more; and how often that was found after the first time. */
  denied: { readonly why: Problem; again: number } | null;
}

async function make(call: Call, batch: Batch, checked: readonly Checked[]): Promise<Reply> {
  const byRun = new Map<string, Checked[]>();
  for (const one of checked) {
    const run = one.found?.row.run ?? one.item.approval;
    byRun.set(run, [...(byRun.get(run) ?? []), one]);
  }
  const isAll = batch.mode === 'all';
  const until = call.deps.now().getTime() + mostMs;
  const making: Making = { isAll, until, hasRefused: false, denied: null };
  const results = new Map<Checked, Fields>();
  await inLanes([...byRun.values()], isAll ? 1 : lanes, (ofRun) => makeOf(call, ofRun, making, results));
  noteDenied(call, making);
  const told = checked.map((one) => results.get(one) ?? shown(one));
  const isNone = told.every(({ status }) => status === 'refused' || status === 'not_made');
  if (isAll && making.hasRefused && isNone) return noneMade(told);
  const ok = told.every(({ status }) => status === 'applied' || status === 'accepted');
  return answer(200, { dryRun: false, mode: batch.mode, ok, results: told });
}

/** The decisions of one run, one after the other. */
async function makeOf(
  call: Call,
  ofRun: readonly Checked[],
  making: Making,
  results: Map<Checked, Fields>,
): Promise<void> {
  let silent: Reply | null = null;
  for (const one of ofRun) {
    if (making.isAll && making.hasRefused) {
      results.set(one, {
        ...shown(one),
        status: 'not_made',
        detail: 'another of this batch was refused before its turn',
      });
      continue;
    }
    const leftMs: number = silent === null ? making.until - call.deps.now().getTime() : 0;
    const waitMs = Math.min(itemMs, leftMs);
    const reply: Reply = (await untried(one, silent)) ?? (await makeOne(one, making, waitMs));
    if (isSilent(reply)) silent = reply;
    if (reply.kind === 'problem') making.hasRefused = true;
    results.set(one, resultOf(call, one, reply, making));
  }
}

function noneMade(results: readonly Fields[]): Problem {
  const first = results.find(({ status }) => status === 'refused');
  return problem(
    'BATCH_REFUSED',
    `the decision about \`${String(first?.['approval'])}\` was refused (${String(first?.['code'])}), so none was made: see \`results\`, and begin with a dry run again`,
    { results: [...results] },
  );
}

/** The first time is on record as it came; those after it by their count. */
function noteDenied(call: Call, { denied }: Making): void {
  if (denied === null || denied.again === 0) return;
  const first = call.facts.find(({ type }) => type === 'authn.failed');
  if (first === undefined) return;
  call.facts.push({ ...first, data: { ...first.data, count: denied.again } });
}

/** A run that has not answered one decision, or could not be asked, is not waited for again. */
function isSilent(reply: Reply): boolean {
  return reply.kind === 'problem' ? statusOf(reply) === 503 : reply.kind === 'answer' && reply.status === 202;
}

/** Where the run could not be asked just now, it is not asked again, unless this request has stored the decision before. */
async function untried({ call, refused }: Checked, silent: Reply | null): Promise<Problem | null> {
  if (refused !== null || silent?.kind !== 'problem') return null;
  return (await getDecision(call.deps.pool, effectId(call, 'dec'))) === null ? silent : null;
}

/**
 * What was refused in advance is not asked of the run; all else is decided as a single decision is, by who the credential
 * names when its turn has come.
 */
async function makeOne({ call, item, refused }: Checked, making: Making, waitMs: number): Promise<Reply> {
  return (
    refused ??
    making.denied?.why ??
    (await authenticate(call)) ??
    (await decide(call, item.approval, item, 'batch', Math.max(waitMs, 1)))
  );
}

function resultOf(call: Call, one: Checked, reply: Reply, making: Making): Fields {
  if (reply.kind === 'problem') {
    if (reply.code !== 'UNAUTHENTICATED') leave(call, one, reply);
    else if (making.denied !== null) making.denied.again += 1;
    else {
      making.denied = { why: reply, again: 0 };
      leave(call, one, reply);
    }
    return refusedItem(one, reply);
  }
  return { ...shown(one), status: reply.kind === 'answer' && reply.status === 202 ? 'accepted' : 'applied' };
}

/** What the decision left in its own call, or else what it was refused with, about its own run. */
function leave(call: Call, one: Checked, { code }: Problem): void {
  const place = one.call.about;
  const own = [...one.call.facts];
  if (own.length === 0 && !one.call.recordedByRun)
    own.push({
      type: 'approval.refused',
      approval: one.item.approval,
      data: { code, decision: one.item.decision, via: 'batch' },
    });
  call.facts.push(...own.map((fact) => ({ ...fact, place })));
}
