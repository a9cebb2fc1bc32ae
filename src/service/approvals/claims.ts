import { isBlank } from '../../model/text.js';
import { deleteClaim, insertDelegation, putClaim } from '../../store/claims.js';
import type { ApprovalJson } from '../../model/answer-types.js';
import type { Caller } from '../caller.js';
import { refuseCaller } from '../may.js';
import { refusal, type Refusal } from '../refusal.js';
import { bodyOf } from './body.js';
import { judge, refuseDecider, toJudge, type Judged } from './judge.js';
import { visibleApproval, type FoundApproval } from './look.js';
import { knownPerson } from './people.js';
import { recordAbout } from './seen.js';

// None of these decides, blocks a decision, or gives a right: they say who is at it.

/** The approval as it stands then, for its reader. */
export type Told = { readonly kind: 'approval'; readonly body: ApprovalJson } | Refusal;

async function tell({ deps, principal }: Caller, found: FoundApproval): Promise<Told> {
  return { kind: 'approval', body: await bodyOf(deps, found, principal) };
}

/** Visible, open, and the caller's to decide: the run's own rule, asked here. */
async function decidableApproval(
  caller: Caller,
  id: string,
): Promise<{ readonly kind: 'decidable'; readonly found: FoundApproval; readonly judged: Judged } | Refusal> {
  const found = await visibleApproval(caller, id);
  if (found.kind === 'refusal') return found;
  const judged = await toJudge(caller.deps, found);
  return refuseDecider(judged, caller.principal) ?? { kind: 'decidable', found, judged };
}

const claimMs = 15 * 60_000;

export async function claimApproval(caller: Caller, id: string, termMs = claimMs): Promise<Told> {
  const refused = refuseCaller(caller, 'claimApproval');
  if (refused !== null) return refused;
  const decidable = await decidableApproval(caller, id);
  if (decidable.kind === 'refusal') return decidable;
  const { found } = decidable;
  const { deps, principal } = caller;
  const now = deps.now();
  const until = new Date(now.getTime() + termMs).toISOString();
  await deps.transaction(async (tx) => {
    await putClaim(tx, { approval: id, principal: principal.id, claimedAt: now.toISOString(), until });
    await recordAbout(caller, tx, 'approval.claimed', found, { data: { until } });
  });
  return tell(caller, found);
}

/** Whoever may see it may let go of it: also when it is decided meanwhile, or the role is gone. */
export async function releaseApproval(caller: Caller, id: string): Promise<Told> {
  const refused = refuseCaller(caller, 'releaseApproval');
  if (refused !== null) return refused;
  const found = await visibleApproval(caller, id);
  if (found.kind === 'refusal') return found;
  const { deps, principal } = caller;
  const now = deps.now().toISOString();
  await deps.transaction(async (tx) => {
    const held = await deleteClaim(tx, { approval: id, principal: principal.id, now });
    if (held) await recordAbout(caller, tx, 'approval.released', found, { data: {} });
  });
  return tell(caller, found);
}

export async function delegateApproval(
  caller: Caller,
  id: string,
  { to, note }: { readonly to: string; readonly note?: string | undefined },
): Promise<Told> {
  const refused = refuseCaller(caller, 'delegateApproval');
  if (refused !== null) return refused;
  const decidable = await decidableApproval(caller, id);
  if (decidable.kind === 'refusal') return decidable;
  const { found, judged } = decidable;
  const why = await refuseDelegate(caller, judged, to);
  if (why !== null) return why;
  const { deps, principal } = caller;
  const text = note === undefined || isBlank(note) ? null : note;
  await deps.transaction(async (tx) => {
    const noteRef =
      text === null ? null : await deps.payloads.put(tx, found.row.run, 'reason', 'text/plain', text);
    const at = deps.now().toISOString();
    const made = await insertDelegation(tx, {
      approval: id,
      delegate: to,
      delegatedBy: principal.id,
      noteRef,
      at,
    });
    if (!made) return;
    const refs = noteRef === null ? {} : { refs: [noteRef] };
    await recordAbout(caller, tx, 'approval.delegated', found, { data: { to }, ...refs });
  });
  return tell(caller, found);
}

/** Who is named must be able to decide it as things stand; the run asks again when that person does. */
async function refuseDelegate(
  { deps, principal }: Caller,
  judged: Judged,
  to: string,
): Promise<Refusal | null> {
  if (to === principal.id) return delegateUnfit(to, 'self', 'it is yours already');
  const person = await knownPerson(deps, to);
  if (person === null)
    return delegateUnfit(to, 'unknown', 'nobody of this name has a key or has signed in here');
  if (person.kind !== 'human')
    return delegateUnfit(to, 'not_human', `only a human decides, and this is of kind ${person.kind}`);
  if (person.credentials.length === 0)
    return delegateUnfit(
      to,
      'no_credential',
      'no key of this person is valid, and it has not signed in within a day',
    );
  const asked = person.credentials.map((one) => judge(judged, one));
  const no = asked.find((one) => one.status === 'no');
  if (asked.some((one) => one.status === 'yes') || no === undefined) return null;
  return delegateUnfit(to, no.why ?? 'closed', no.message);
}

export function delegateUnfit(to: string, why: string, because: string): Refusal {
  return refusal('DELEGATE_UNFIT', `\`${to}\` cannot stand in: ${because}`, { why });
}
