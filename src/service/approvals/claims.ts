import { PayloadKeyUnopened, PayloadsErased } from '../../audit/index.js';
import { isBlank } from '../../model/values/text.js';
import {
  deleteClaim,
  insertDelegation,
  lockDelegationNote,
  putClaim,
  setDelegationNote,
  type DelegationKey,
} from '../../store/approvals/claims.js';
import type { ApprovalJson } from '../../model/contract/answer-types.js';
import type { Tx } from '../../db/index.js';
import type { Caller } from '../caller.js';
import { transact } from '../changes.js';
import type { ServiceDeps } from '../deps.js';
import { refuseCaller } from '../may.js';
import { invalid, refusal, type Refusal } from '../refusal.js';
import { bodyOf } from './body/body.js';
import { judge, refuseDecider, refuseUnopened, loadJudged, type Judged } from './judge.js';
import { visibleApproval, type FoundApproval } from './look.js';
import { findPerson } from './people.js';
import { recordAbout } from './seen.js';

// Claims and delegations say who works on an approval. They decide nothing, block no decision, and give no right.

/** The approval after the change, as the caller reads it. */
export type ClaimResult = { readonly kind: 'approval'; readonly body: ApprovalJson } | Refusal;

async function readBack({ deps, principal }: Caller, found: FoundApproval): Promise<ClaimResult> {
  return { kind: 'approval', body: await bodyOf(deps, found, principal) };
}

/** An approval that the caller sees and may decide now, by the same rule as the run's. */
async function decidableApproval(
  caller: Caller,
  id: string,
): Promise<{ readonly kind: 'decidable'; readonly found: FoundApproval; readonly judged: Judged } | Refusal> {
  const found = await visibleApproval(caller, id);
  if (found.kind === 'refusal') return found;
  const judged = await loadJudged(caller.deps, found);
  return refuseDecider(judged, caller.principal) ?? { kind: 'decidable', found, judged };
}

const claimMs = 15 * 60_000;

export async function claimApproval(caller: Caller, id: string, termMs = claimMs): Promise<ClaimResult> {
  const refused = refuseCaller(caller, 'claimApproval');
  if (refused !== null) return refused;
  const decidable = await decidableApproval(caller, id);
  if (decidable.kind === 'refusal') return decidable;
  const { found } = decidable;
  const { deps, principal } = caller;
  const now = deps.now();
  const until = new Date(now.getTime() + termMs).toISOString();
  await transact(caller, async (tx) => {
    await putClaim(tx, { approval: id, principal: principal.id, claimedAt: now.toISOString(), until });
    await recordAbout(caller, tx, 'approval.claimed', found, { data: { until } });
  });
  return readBack(caller, found);
}

/** Whoever may see the approval may release it, also when it was decided meanwhile or the caller has lost the role. */
export async function releaseApproval(caller: Caller, id: string): Promise<ClaimResult> {
  const refused = refuseCaller(caller, 'releaseApproval');
  if (refused !== null) return refused;
  const found = await visibleApproval(caller, id);
  if (found.kind === 'refusal') return found;
  const { deps, principal } = caller;
  const now = deps.now().toISOString();
  await transact(caller, async (tx) => {
    const hadClaim = await deleteClaim(tx, { approval: id, principal: principal.id, now });
    if (hadClaim) await recordAbout(caller, tx, 'approval.released', found, { data: {} });
  });
  return readBack(caller, found);
}

/** To hand it to the same person again is nothing new, unless with another note, which takes the place of the one before. */
export async function delegateApproval(
  caller: Caller,
  id: string,
  { to, note }: { readonly to: string; readonly note?: string | undefined },
): Promise<ClaimResult> {
  const refused = refuseCaller(caller, 'delegateApproval');
  if (refused !== null) return refused;
  const decidable = await decidableApproval(caller, id);
  if (decidable.kind === 'refusal') return decidable;
  const { found, judged } = decidable;
  const why = await refuseDelegate(caller, judged, to);
  if (why !== null) return why;
  const { deps, principal } = caller;
  const text = note === undefined || isBlank(note) ? null : note;
  const handOver = async (tx: Tx): Promise<void> => {
    const handed = { approval: id, delegate: to, delegatedBy: principal.id };
    const isNew = await insertDelegation(tx, { ...handed, at: deps.now().toISOString() });
    if (!isNew && (text === null || (await hasNote(deps, tx, handed, text)))) return;
    const noteRef =
      text === null ? null : await deps.payloads.put(tx, found.row.run, 'reason', 'text/plain', text);
    if (noteRef !== null) await setDelegationNote(tx, handed, noteRef);
    const refs = noteRef === null ? [] : [noteRef];
    await recordAbout(caller, tx, 'approval.delegated', found, { data: { to }, refs });
  };
  try {
    await transact(caller, handOver);
  } catch (error) {
    if (error instanceof PayloadKeyUnopened) {
      deps.onInternalError(`a note on \`${id}\``, error);
      return refuseUnopened('the note cannot be kept here, so nothing is handed over', error);
    }
    if (!(error instanceof PayloadsErased)) throw error;
    const message = `cannot be kept, since the values of run \`${found.row.run}\` were erased: leave it out`;
    return invalid(`\`note\` ${message}`, [{ pointer: '/note', message }]);
  }
  return readBack(caller, found);
}

async function hasNote(
  { payloads }: ServiceDeps,
  tx: Tx,
  handed: DelegationKey,
  note: string,
): Promise<boolean> {
  const ref = await lockDelegationNote(tx, handed);
  const bytes = ref === null ? null : (await payloads.getAllReadable(tx, [ref])).get(ref.payload);
  return Buffer.isBuffer(bytes) && bytes.toString('utf8') === note;
}

/** The delegate must be able to decide the approval as things stand; the run checks again when they decide. */
async function refuseDelegate(
  { deps, principal }: Caller,
  judged: Judged,
  to: string,
): Promise<Refusal | null> {
  if (to === principal.id) return unfitDelegate(to, 'self', 'it is yours already');
  const person = await findPerson(deps, to);
  if (person === null)
    return unfitDelegate(to, 'unknown', 'nobody of this name has a key or has signed in here');
  if (person.kind !== 'human')
    return unfitDelegate(to, 'not_human', `only a human decides, and this is of kind ${person.kind}`);
  if (person.credentials.length === 0)
    return unfitDelegate(
      to,
      'no_credential',
      'no key of this person is valid, and it has not signed in within a day',
    );
  const asked = person.credentials.map((credential) => judge(judged, credential));
  const no = asked.find((judgement) => judgement.status === 'no');
  if (asked.some((judgement) => judgement.status === 'yes') || no === undefined) return null;
  return unfitDelegate(to, no.why ?? 'closed', no.message);
}

export function unfitDelegate(to: string, why: string, because: string): Refusal {
  return refusal('DELEGATE_UNFIT', `\`${to}\` cannot stand in: ${because}`, { why });
}
