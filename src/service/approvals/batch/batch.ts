import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type * as api from '../../../model/contract/api.js';
import type { BatchJson } from '../../../model/contract/answer-types.js';
import { isObject, type JsonObject } from '../../../model/values/json.js';
import { getDecision } from '../../../store/approvals/decisions.js';
import { deriveId, newTrail, note, type Caller, type Trail } from '../../caller.js';
import { inLanes } from '../../lanes.js';
import { refuseCaller } from '../../may.js';
import { invalid, isUnavailable, refusal, sayUncertain, type Refusal } from '../../refusal.js';
import { issueToken, isTokenValid } from './token.js';
import { decide, earlierDecision, type Decided } from '../decide.js';
import { refuseDecision, loadJudged } from '../judge.js';
import { readApprovals, visibleApprovalRow, visibleApproval, type HeldApproval } from '../look.js';

type Batch = z.output<typeof api.batchBody>;
type Item = Batch['decisions'][number];
type Result = BatchJson['results'][number];

/** Authenticates the caller again, since a batch may take long. A refusal is noted in `trail`. */
export type AskAgain = (
  trail: Trail,
) => Promise<({ readonly kind: 'principal' } & Pick<Caller, 'principal' | 'rights'>) | Refusal>;

/** How many runs are asked at a time; the approvals of the same run are decided one after the other. */
const lanes = 10;
/** How long a decision waits for its run, and the whole batch. A decision without an answer by then is kept, and `accepted`. */
const itemMs = 3_000;
const mostMs = 10_000;

export interface BatchResult {
  readonly kind: 'batch';
  readonly body: BatchJson;
  /** Seconds after which the same batch may decide what was refused only for now; null: no decision was refused so. */
  readonly retryAfter: number | null;
}

export async function decideBatch(
  caller: Caller,
  batch: Batch,
  askAgain: AskAgain,
): Promise<BatchResult | Refusal> {
  const denied = refuseCaller(caller, 'decideBatch');
  if (denied !== null) return denied;
  const repeatedAt = batch.decisions.findIndex(
    ({ approval }, index) => batch.decisions.findIndex((item) => item.approval === approval) !== index,
  );
  if (repeatedAt !== -1)
    return invalid('an approval is decided twice in this batch', [
      { pointer: `/decisions/${repeatedAt}/approval`, message: 'is there already: name each approval once' },
    ]);
  const begun = batch.dryRun ? new Set<string>() : await findBegun(caller, batch);
  const hasDryRun = batch.dryRun || isTokenValid(caller, batch);
  if (!hasDryRun && begun.size === 0) return dryRunRequired();
  const found = await checkAll(caller, batch);
  const checked = hasDryRun ? found : found.map((entry) => refuseWithoutDryRun(entry, begun));
  const ok = checked.every((entry) => entry.refused === null);
  if (batch.dryRun) return { kind: 'batch', body: dryRunBody(caller, batch, checked, ok), retryAfter: null };
  if (batch.mode === 'all' && !ok && begun.size === 0) return refuseAll(caller, checked);
  return decideAll(caller, batch, checked, { begun, askAgain });
}

/**
 * Ids of the approvals for which an earlier attempt of this request has kept a decision, under a token that was valid then. What
 * came of them is told, even if the token is not valid any more.
 */
async function findBegun(caller: Caller, { decisions }: Batch): Promise<ReadonlySet<string>> {
  if (caller.heldKey === null) return new Set();
  const kept = await inLanes(decisions, lanes, (item) =>
    getDecision(caller.deps.pool, deriveId({ idBase: idBaseOfItem(caller, item) }, 'dec')),
  );
  return new Set(kept.flatMap((row) => (row === null ? [] : [row.approval])));
}

function dryRunRequired(): Refusal {
  return refusal(
    'DRY_RUN_REQUIRED',
    'send `token`, which a dry run over exactly these decisions, in this mode, has given you within the last 15 minutes',
  );
}

interface Checked {
  readonly item: Item;
  /** The caller with a trail of this decision's own. */
  readonly caller: Caller;
  readonly found: HeldApproval | null;
  readonly refused: Refusal | null;
}

async function checkAll(caller: Caller, { decisions }: Batch): Promise<Checked[]> {
  const seen = await inLanes(decisions, lanes, async (item) => {
    const own: Caller = { ...caller, idBase: idBaseOfItem(caller, item), trail: newTrail() };
    return { item, caller: own, seen: await visibleApprovalRow(own, item.approval) };
  });
  const rows = seen.flatMap((entry) => (entry.seen.kind === 'refusal' ? [] : [entry.seen.row]));
  const found = new Map((await readApprovals(caller, rows)).map((approval) => [approval.row.id, approval]));
  return inLanes(seen, lanes, (entry) =>
    entry.seen.kind === 'refusal'
      ? Promise.resolve({ ...entry, found: null, refused: entry.seen })
      : check(entry, found.get(entry.seen.row.id) ?? { row: entry.seen.row, state: null, held: undefined }),
  );
}

/** Without a valid token, what was begun before is told, and everything else is refused. */
function refuseWithoutDryRun(entry: Checked, begun: ReadonlySet<string>): Checked {
  return begun.has(entry.item.approval) ? entry : { ...entry, refused: entry.refused ?? dryRunRequired() };
}

async function check(
  { item, caller }: Omit<Checked, 'found' | 'refused'>,
  found: HeldApproval,
): Promise<Checked> {
  const judged = await loadJudged(caller.deps, found);
  const refused =
    earlierDecision(caller, judged) === null
      ? ((await refuseIrreversible(caller, found)) ?? (await refuseDecision(caller, judged, item)))
      : null;
  return { item, caller, found, refused };
}

/** The same in a repeated request, but different for each approval. */
function idBaseOfItem({ idBase }: Caller, { approval }: Item): string {
  return createHash('sha256').update(`${idBase}:${approval}`).digest('hex').slice(0, 32);
}

async function refuseIrreversible({ deps }: Caller, { row }: HeldApproval): Promise<Refusal | null> {
  const { tier } = row.doc;
  if (tier === 'read_only' || tier === 'reversible') return null;
  const set = await deps.policies.policySet();
  const allowed = set?.environments.find(({ name }) => name === row.environment)?.batchIrreversible === true;
  if (allowed) return null;
  const what = tier === null ? 'has no tier, so it counts as irreversible' : 'cannot be undone';
  return refusal(
    'BATCH_IRREVERSIBLE',
    `\`${row.doc.tool ?? row.transition}\` ${what}: decide it by itself, or let the environment \`${row.environment}\` say \`batchIrreversible: true\``,
  );
}

function dryRunBody(caller: Caller, batch: Batch, checked: readonly Checked[], ok: boolean): BatchJson {
  const useful = batch.mode === 'all' ? ok : checked.some((entry) => entry.refused === null);
  return {
    dryRun: true,
    mode: batch.mode,
    ok,
    ...(useful ? issueToken(caller, batch) : {}),
    results: checked.map(checkedResult),
  };
}

function checkedResult(entry: Checked): Result {
  return entry.refused === null
    ? { ...resultFields(entry), status: 'would_apply' }
    : refusedResult(entry, entry.refused);
}

function resultFields({ item, found }: Checked): Omit<Result, 'status'> {
  const { approval, decision } = item;
  if (found === null) return { approval, decision };
  const { summary, consequence, tier } = found.row.doc;
  return { approval, decision, summary, consequence, tier };
}

function refusedResult(entry: Checked, { code, detail, extra }: Refusal): Result {
  return {
    ...resultFields(entry),
    status: 'refused',
    code,
    detail,
    ...deciderOf(extra),
  };
}

/** Who has decided already, as the `extra` of a refusal says. */
function deciderOf({ decidedBy, decidedAt = null }: JsonObject): Pick<Result, 'decidedBy' | 'decidedAt'> {
  const { id, kind } = isObject(decidedBy) ? decidedBy : {};
  if (typeof id !== 'string' || typeof kind !== 'string') return {};
  return { decidedBy: { id, kind }, decidedAt: typeof decidedAt === 'string' ? decidedAt : null };
}

/** Refuses the batch before anything was sent to a run. Each refusal is recorded with its own run. */
function refuseAll(caller: Caller, checked: readonly Checked[]): Refusal {
  for (const entry of checked) if (entry.refused !== null) noteRefusalOf(caller, entry, entry.refused);
  const refused = checked.flatMap((entry) => entry.refused ?? []);
  return refusal(
    'BATCH_REFUSED',
    `${refused.length} of ${checked.length} decisions would be refused, so none was made: see \`results\`, or send \`mode: each\``,
    { results: checked.map(checkedResult) },
    refused.find(({ retryAfter }) => retryAfter !== null)?.retryAfter ?? null,
  );
}

/** How far a batch has come. */
interface BatchProgress {
  /** After a refusal nothing more is decided; what an earlier attempt has begun is told all the same. */
  readonly isAll: boolean;
  readonly until: number;
  readonly begun: ReadonlySet<string>;
  readonly askAgain: AskAgain;
  hasRefused: boolean;
  /** The first refusal that holds only for now. */
  passing: Refusal | null;
  /** The credential is not taken any more: it decides nothing more. `again`: how many decisions found that after the first. */
  denied: { readonly why: Refusal; again: number } | null;
}

async function decideAll(
  caller: Caller,
  batch: Batch,
  checked: readonly Checked[],
  { begun, askAgain }: Pick<BatchProgress, 'begun' | 'askAgain'>,
): Promise<BatchResult | Refusal> {
  const byRun = new Map<string, Checked[]>();
  for (const entry of checked) {
    const run = entry.found?.row.run ?? entry.item.approval;
    byRun.set(run, [...(byRun.get(run) ?? []), entry]);
  }
  const { mode } = batch;
  const isAll = mode === 'all';
  const until = caller.deps.now().getTime() + mostMs;
  const hasRefused = checked.some(({ refused }) => refused !== null);
  const progress: BatchProgress = { isAll, until, begun, askAgain, hasRefused, passing: null, denied: null };
  const results = new Map<Checked, Result>();
  await inLanes([...byRun.values()], isAll ? 1 : lanes, (ofRun) =>
    decideRun(caller, ofRun, progress, results),
  );
  noteDenied(caller, progress);
  if (progress.denied !== null && caller.heldKey !== null) return sayUncertain(progress.denied.why);
  const itemResults = checked.map((entry) => results.get(entry) ?? notMadeResult(entry));
  const madeNone = itemResults.every(({ status }) => status === 'refused' || status === 'not_made');
  if (isAll && madeNone) return refuseNoneMade(itemResults, progress);
  const ok = itemResults.every(({ status }) => status === 'applied' || status === 'accepted');
  const retryAfter = progress.passing?.retryAfter ?? null;
  return { kind: 'batch', body: { dryRun: false, mode, ok, results: itemResults }, retryAfter };
}

/** Makes the decisions of a run, one after the other. */
async function decideRun(
  caller: Caller,
  ofRun: readonly Checked[],
  progress: BatchProgress,
  results: Map<Checked, Result>,
): Promise<void> {
  let silent: Decided | Refusal | null = null;
  for (const entry of ofRun) {
    if (progress.isAll && progress.hasRefused && entry.refused === null && !wasBegun(entry, progress)) {
      results.set(entry, notMadeResult(entry));
      continue;
    }
    const leftMs: number = silent === null ? progress.until - caller.deps.now().getTime() : 0;
    const waitMs = Math.min(itemMs, leftMs);
    const made = acceptIfBegun(
      entry,
      progress,
      (await refuseSilent(entry, silent)) ?? (await decideItem(entry, progress, waitMs)),
    );
    if (isRunSilent(made)) silent = made;
    if (made.kind === 'refusal') {
      progress.hasRefused = true;
      if (made.retryAfter !== null) progress.passing ??= made;
    }
    results.set(entry, resultOf(caller, entry, made, progress));
  }
}

/** A decision that is known to be kept counts as accepted, even if its run could not be asked again. */
function acceptIfBegun(entry: Checked, progress: BatchProgress, made: Decided | Refusal): Decided | Refusal {
  if (made.kind !== 'refusal' || !isUnavailable(made) || !wasBegun(entry, progress)) return made;
  return { kind: 'accepted', decisionId: deriveId(entry.caller, 'dec') };
}

function wasBegun({ item }: Pick<Checked, 'item'>, { begun }: Pick<BatchProgress, 'begun'>): boolean {
  return begun.has(item.approval);
}

function notMadeResult(entry: Checked): Result {
  return {
    ...resultFields(entry),
    status: 'not_made',
    detail: 'another decision of this batch is refused',
  };
}

/**
 * The refusal of a batch of which nothing was made. If a run could not be asked, the refusal does not say that nothing was
 * kept.
 */
function refuseNoneMade(results: readonly Result[], { passing }: Pick<BatchProgress, 'passing'>): Refusal {
  if (passing !== null && isUnavailable(passing))
    return { ...passing, extra: { results: [...results] }, isUnkept: false };
  const first = results.find(({ status }) => status === 'refused');
  return refusal(
    'BATCH_REFUSED',
    `the decision about \`${String(first?.approval)}\` was refused (${String(first?.code)}), so none was made: see \`results\`, and ${passing === null ? 'begin with a dry run again' : 'send the same again'}`,
    { results: [...results] },
    passing?.retryAfter ?? null,
  );
}

/** The first `authn.failed` is on record as it came; how often it came again is recorded as a count. */
function noteDenied(caller: Caller, { denied }: BatchProgress): void {
  if (denied === null || denied.again === 0) return;
  const first = caller.trail.facts.find(({ type }) => type === 'authn.failed');
  if (first === undefined) return;
  note(caller, { ...first, data: { ...first.data, count: denied.again } });
}

/** The run has not answered a decision, or could not be asked: it is not waited for again. */
function isRunSilent(made: Decided | Refusal): boolean {
  return made.kind === 'refusal' ? isUnavailable(made) : made.kind === 'accepted';
}

/**
 * The refusal, without asking the run again, where it could not be asked just now; null: ask it, also if this decision is kept
 * already.
 */
async function refuseSilent(
  { caller, refused }: Checked,
  silent: Decided | Refusal | null,
): Promise<Refusal | null> {
  if (refused !== null || silent?.kind !== 'refusal') return null;
  return (await getDecision(caller.deps.pool, deriveId(caller, 'dec'))) === null ? silent : null;
}

/**
 * A decision that was refused in advance is not sent to its run. Every other is made like a single decision, by the principal that
 * the credential gives when its turn has come.
 */
async function decideItem(
  { caller, item, refused }: Checked,
  { denied, askAgain }: BatchProgress,
  waitMs: number,
): Promise<Decided | Refusal> {
  const known = refused ?? denied?.why;
  if (known !== undefined) return known;
  const asked = await askAgain(caller.trail);
  if (asked.kind === 'refusal') return asked;
  const own = { ...caller, principal: asked.principal, rights: asked.rights };
  const found = await visibleApproval(own, item.approval);
  return found.kind === 'refusal'
    ? found
    : decide(own, found, item, { via: 'batch', waitMs: Math.max(waitMs, 1) });
}

function resultOf(caller: Caller, entry: Checked, made: Decided | Refusal, progress: BatchProgress): Result {
  if (made.kind !== 'refusal') return { ...resultFields(entry), status: made.kind };
  if (made.code !== 'UNAUTHENTICATED') noteRefusalOf(caller, entry, made);
  else if (progress.denied !== null) progress.denied.again += 1;
  else {
    progress.denied = { why: made, again: 0 };
    noteRefusalOf(caller, entry, made);
  }
  return refusedResult(entry, made);
}

/** Notes the facts in the decision's own trail, or if there are none the refusal, as being about the decision's own run. */
function noteRefusalOf(caller: Caller, entry: Checked, refused: Refusal): void {
  const { trail } = entry.caller;
  const own = [...trail.facts];
  if (own.length === 0 && !trail.recordedByRun)
    own.push({
      // If the run could not be asked, it is not certain that the decision is refused.
      type: isUnavailable(refused) ? 'request.refused' : 'approval.refused',
      approval: entry.item.approval,
      data: { code: refused.code, decision: entry.item.decision, via: 'batch' },
    });
  for (const fact of own) note(caller, { ...fact, about: trail.about });
}
