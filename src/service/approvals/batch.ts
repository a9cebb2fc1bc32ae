import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type * as api from '../../model/api.js';
import type { BatchJson } from '../../model/answer-types.js';
import { isObject, type JsonObject } from '../../model/json.js';
import type { Principal } from '../../model/principal.js';
import { getDecision } from '../../store/decisions.js';
import { effectId, newTrail, note, type Caller, type Trail } from '../caller.js';
import { inLanes } from '../lanes.js';
import { refuseCaller } from '../may.js';
import { invalid, isUnavailable, refusal, uncertain, type Refusal } from '../refusal.js';
import { issueToken, tokenHolds } from './batch-token.js';
import { decide, earlierDecision, type Decided } from './decide.js';
import { refuseDecision, toJudge } from './judge.js';
import { asTheyStand, seenApproval, visibleApproval, type Approval } from './look.js';

type Batch = z.output<typeof api.batchBody>;
type Item = Batch['decisions'][number];
type Result = BatchJson['results'][number];

/** Who asks by what holds at this moment: a batch takes long. Why nobody does any more is left in `trail`. */
export type AskAgain = (
  trail: Trail,
) => Promise<{ readonly kind: 'principal'; readonly principal: Principal } | Refusal>;

/** Runs at once; the approvals of one run go one after the other. */
const lanes = 10;
/** How long one decision waits for its run, and all of them together: what is not answered by then is kept, and `accepted`. */
const itemMs = 3_000;
const mostMs = 10_000;

export interface BatchMade {
  readonly kind: 'batch';
  readonly body: BatchJson;
  /** As a refusal's, where one of the decisions was refused so: the same batch, asked again, may decide it. */
  readonly retryAfter: number | null;
}

export async function decideBatch(
  caller: Caller,
  batch: Batch,
  askAgain: AskAgain,
): Promise<BatchMade | Refusal> {
  const denied = refuseCaller(caller, 'decideBatch');
  if (denied !== null) return denied;
  const twice = batch.decisions.findIndex(
    ({ approval }, index) => batch.decisions.findIndex((one) => one.approval === approval) !== index,
  );
  if (twice !== -1)
    return invalid('one approval is decided twice in this batch', [
      { pointer: `/decisions/${twice}/approval`, message: 'is there already: name each approval once' },
    ]);
  const begun = batch.dryRun ? new Set<string>() : await begunBefore(caller, batch);
  const isTried = batch.dryRun || tokenHolds(caller, batch);
  if (!isTried && begun.size === 0) return dryRunRequired();
  const found = await checkAll(caller, batch);
  const checked = isTried ? found : found.map((one) => refuseUntried(one, begun));
  const ok = checked.every((one) => one.refused === null);
  if (batch.dryRun) return { kind: 'batch', body: dryRun(caller, batch, checked, ok), retryAfter: null };
  if (batch.mode === 'all' && !ok && begun.size === 0) return refuseAll(caller, checked);
  return make(caller, batch, checked, { begun, askAgain });
}

/**
 * The approvals about which an earlier attempt of this request has kept its decision, under a token that held then: what stands
 * of them is told, whatever holds by now.
 */
async function begunBefore(caller: Caller, { decisions }: Batch): Promise<ReadonlySet<string>> {
  if (caller.held === null) return new Set();
  const kept = await inLanes(decisions, lanes, (item) =>
    getDecision(caller.deps.pool, effectId({ effect: effectOf(caller, item) }, 'dec')),
  );
  return new Set(kept.flatMap((row) => (row === null ? [] : [row.approval])));
}

function dryRunRequired(): Refusal {
  return refusal(
    'DRY_RUN_REQUIRED',
    'send `token`: the one that a dry run over exactly these decisions, in this mode, gave you within the last 15 minutes',
  );
}

interface Checked {
  readonly item: Item;
  /** With a trail of its own: what it is about, and what it leaves, is this decision's. */
  readonly caller: Caller;
  readonly found: Approval | null;
  readonly refused: Refusal | null;
}

async function checkAll(caller: Caller, { decisions }: Batch): Promise<Checked[]> {
  const seen = await inLanes(decisions, lanes, async (item) => {
    const own: Caller = { ...caller, effect: effectOf(caller, item), trail: newTrail() };
    return { item, caller: own, seen: await seenApproval(own, item.approval) };
  });
  const rows = seen.flatMap((one) => (one.seen.kind === 'refusal' ? [] : [one.seen.row]));
  const found = new Map((await asTheyStand(caller, rows)).map((one) => [one.row.id, one]));
  return inLanes(seen, lanes, (one) =>
    one.seen.kind === 'refusal'
      ? Promise.resolve({ ...one, found: null, refused: one.seen })
      : check(one, found.get(one.seen.row.id) ?? { row: one.seen.row, state: null }),
  );
}

/** Once the dry run is too long ago, what was begun is told, and nothing else made. */
function refuseUntried(one: Checked, begun: ReadonlySet<string>): Checked {
  return begun.has(one.item.approval) ? one : { ...one, refused: one.refused ?? dryRunRequired() };
}

async function check({ item, caller }: Pick<Checked, 'item' | 'caller'>, found: Approval): Promise<Checked> {
  const judged = await toJudge(caller.deps, found);
  const refused =
    earlierDecision(caller, judged) === null
      ? ((await refuseIrreversible(caller, found)) ?? (await refuseDecision(caller, judged, item)))
      : null;
  return { item, caller, found, refused };
}

/** The same in a repeated request, another for each approval. */
function effectOf({ effect }: Caller, { approval }: Item): string {
  return createHash('sha256').update(`${effect}:${approval}`).digest('hex').slice(0, 32);
}

async function refuseIrreversible({ deps }: Caller, { row }: Approval): Promise<Refusal | null> {
  const { tier } = row.doc;
  if (tier === 'read_only' || tier === 'reversible') return null;
  const set = await deps.policies.policySet();
  const allowed = set?.environments.find((one) => one.name === row.environment)?.batchIrreversible === true;
  if (allowed) return null;
  const what = tier === null ? 'has no tier, so it counts as irreversible' : 'cannot be undone';
  return refusal(
    'BATCH_IRREVERSIBLE',
    `\`${row.doc.tool ?? row.transition}\` ${what}: decide it by itself, or let the environment \`${row.environment}\` say \`batchIrreversible: true\``,
  );
}

function dryRun(caller: Caller, batch: Batch, checked: readonly Checked[], ok: boolean): BatchJson {
  const useful = batch.mode === 'all' ? ok : checked.some((one) => one.refused === null);
  return {
    dryRun: true,
    mode: batch.mode,
    ok,
    ...(useful ? issueToken(caller, batch) : {}),
    results: checked.map(checkedItem),
  };
}

function checkedItem(one: Checked): Result {
  return one.refused === null ? { ...itemFields(one), status: 'would_apply' } : refusedItem(one, one.refused);
}

function itemFields({ item, found }: Checked): Omit<Result, 'status'> {
  const { approval, decision } = item;
  if (found === null) return { approval, decision };
  const { summary, consequence, tier } = found.row.doc;
  return { approval, decision, summary, consequence, tier };
}

function refusedItem(one: Checked, { code, detail, extra }: Refusal): Result {
  return {
    ...itemFields(one),
    status: 'refused',
    code,
    detail,
    ...whoDecided(extra),
  };
}

/** As a refusal tells it of what somebody has decided already. */
function whoDecided({ decidedBy, decidedAt = null }: JsonObject): Pick<Result, 'decidedBy' | 'decidedAt'> {
  const { id, kind } = isObject(decidedBy) ? decidedBy : {};
  if (typeof id !== 'string' || typeof kind !== 'string') return {};
  return { decidedBy: { id, kind }, decidedAt: typeof decidedAt === 'string' ? decidedAt : null };
}

/** Nothing was sent to any run. Each refusal is recorded with its own run. */
function refuseAll(caller: Caller, checked: readonly Checked[]): Refusal {
  for (const one of checked) if (one.refused !== null) leave(caller, one, one.refused);
  const count = checked.filter((one) => one.refused !== null).length;
  return refusal(
    'BATCH_REFUSED',
    `${count} of ${checked.length} decisions would be refused, so none was made: see \`results\`, or send \`mode: each\``,
    { results: checked.map(checkedItem) },
  );
}

/** How far a batch has come. */
interface Making {
  /** Nothing more is decided once a decision is refused; what an earlier attempt has begun is told all the same. */
  readonly isAll: boolean;
  readonly until: number;
  readonly begun: ReadonlySet<string>;
  readonly askAgain: AskAgain;
  hasRefused: boolean;
  /** The first refusal that is for this moment only. */
  passing: Refusal | null;
  /** The credential is not valid any more, so that it decides nothing more; and how often that was found after the first time. */
  denied: { readonly why: Refusal; again: number } | null;
}

async function make(
  caller: Caller,
  batch: Batch,
  checked: readonly Checked[],
  { begun, askAgain }: Pick<Making, 'begun' | 'askAgain'>,
): Promise<BatchMade | Refusal> {
  const byRun = new Map<string, Checked[]>();
  for (const one of checked) {
    const run = one.found?.row.run ?? one.item.approval;
    byRun.set(run, [...(byRun.get(run) ?? []), one]);
  }
  const { mode } = batch;
  const isAll = mode === 'all';
  const until = caller.deps.now().getTime() + mostMs;
  const hasRefused = checked.some(({ refused }) => refused !== null);
  const making: Making = { isAll, until, begun, askAgain, hasRefused, passing: null, denied: null };
  const results = new Map<Checked, Result>();
  await inLanes([...byRun.values()], isAll ? 1 : lanes, (ofRun) => makeOf(caller, ofRun, making, results));
  noteDenied(caller, making);
  if (making.denied !== null && caller.held !== null) return uncertainOf(making.denied.why);
  const told = checked.map((one) => results.get(one) ?? notMade(one));
  const isNone = told.every(({ status }) => status === 'refused' || status === 'not_made');
  if (isAll && isNone) return noneMade(told, making);
  const ok = told.every(({ status }) => status === 'applied' || status === 'accepted');
  const retryAfter = making.passing?.retryAfter ?? null;
  return { kind: 'batch', body: { dryRun: false, mode, ok, results: told }, retryAfter };
}

/** Who may not be shown any more what was made is not told that it was refused, and the key keeps nothing: whoever holds a good credential again goes on. */
function uncertainOf(denied: Refusal): Refusal {
  return { ...denied, detail: uncertain(denied.detail, 'repeat') };
}

/** The decisions of one run, one after the other. */
async function makeOf(
  caller: Caller,
  ofRun: readonly Checked[],
  making: Making,
  results: Map<Checked, Result>,
): Promise<void> {
  let silent: Decided | Refusal | null = null;
  for (const one of ofRun) {
    if (making.isAll && making.hasRefused && one.refused === null && !isBegun(one, making)) {
      results.set(one, notMade(one));
      continue;
    }
    const leftMs: number = silent === null ? making.until - caller.deps.now().getTime() : 0;
    const waitMs = Math.min(itemMs, leftMs);
    const made = keptAll(one, making, (await untried(one, silent)) ?? (await makeOne(one, making, waitMs)));
    if (isSilent(made)) silent = made;
    if (made.kind === 'refusal') {
      making.hasRefused = true;
      if (made.retryAfter !== null) making.passing ??= made;
    }
    results.set(one, resultOf(caller, one, made, making));
  }
}

/** What is known to be kept is not refused where its run could not be asked of it again. */
function keptAll(one: Checked, making: Making, made: Decided | Refusal): Decided | Refusal {
  if (made.kind !== 'refusal' || !isUnavailable(made) || !isBegun(one, making)) return made;
  return { kind: 'accepted', decisionId: effectId(one.caller, 'dec') };
}

function isBegun({ item }: Pick<Checked, 'item'>, { begun }: Pick<Making, 'begun'>): boolean {
  return begun.has(item.approval);
}

function notMade(one: Checked): Result {
  return {
    ...itemFields(one),
    status: 'not_made',
    detail: 'another of this batch is refused',
  };
}

/** Of a run that could not be asked it is not certain that nothing was kept. */
function noneMade(results: readonly Result[], { passing }: Pick<Making, 'passing'>): Refusal {
  if (passing !== null && isUnavailable(passing)) return { ...passing, extra: { results: [...results] } };
  const first = results.find(({ status }) => status === 'refused');
  return refusal(
    'BATCH_REFUSED',
    `the decision about \`${String(first?.approval)}\` was refused (${String(first?.code)}), so none was made: see \`results\`, and ${passing === null ? 'begin with a dry run again' : 'send the same again'}`,
    { results: [...results] },
    passing?.retryAfter ?? null,
  );
}

/** The first time is on record as it came; those after it by their count. */
function noteDenied(caller: Caller, { denied }: Making): void {
  if (denied === null || denied.again === 0) return;
  const first = caller.trail.facts.find(({ type }) => type === 'authn.failed');
  if (first === undefined) return;
  note(caller, { ...first, data: { ...first.data, count: denied.again } });
}

/** A run that has not answered one decision, or could not be asked, is not waited for again. */
function isSilent(made: Decided | Refusal): boolean {
  return made.kind === 'refusal' ? isUnavailable(made) : made.kind === 'accepted';
}

/** Where the run could not be asked just now, it is not asked again, unless this request has stored the decision before. */
async function untried(
  { caller, refused }: Checked,
  silent: Decided | Refusal | null,
): Promise<Refusal | null> {
  if (refused !== null || silent?.kind !== 'refusal') return null;
  return (await getDecision(caller.deps.pool, effectId(caller, 'dec'))) === null ? silent : null;
}

/**
 * What was refused in advance is not asked of the run; all else is decided as a single decision is, by who the credential
 * names when its turn has come.
 */
async function makeOne(
  { caller, item, refused }: Checked,
  { denied, askAgain }: Making,
  waitMs: number,
): Promise<Decided | Refusal> {
  const known = refused ?? denied?.why;
  if (known !== undefined) return known;
  const asked = await askAgain(caller.trail);
  if (asked.kind === 'refusal') return asked;
  const own = { ...caller, principal: asked.principal };
  const found = await visibleApproval(own, item.approval);
  return found.kind === 'refusal'
    ? found
    : decide(own, found, item, { via: 'batch', waitMs: Math.max(waitMs, 1) });
}

function resultOf(caller: Caller, one: Checked, made: Decided | Refusal, making: Making): Result {
  if (made.kind !== 'refusal') return { ...itemFields(one), status: made.kind };
  if (made.code !== 'UNAUTHENTICATED') leave(caller, one, made);
  else if (making.denied !== null) making.denied.again += 1;
  else {
    making.denied = { why: made, again: 0 };
    leave(caller, one, made);
  }
  return refusedItem(one, made);
}

/** What the decision left in its own trail, or else what it was refused with, about its own run. */
function leave(caller: Caller, one: Checked, refused: Refusal): void {
  const { trail } = one.caller;
  const own = [...trail.facts];
  if (own.length === 0 && !trail.recordedByRun)
    own.push({
      // Of what could not be asked it is not certain that it is refused.
      type: isUnavailable(refused) ? 'request.refused' : 'approval.refused',
      approval: one.item.approval,
      data: { code: refused.code, decision: one.item.decision, via: 'batch' },
    });
  for (const fact of own) note(caller, { ...fact, place: trail.about });
}
