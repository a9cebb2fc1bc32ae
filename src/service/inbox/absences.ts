import type { Tx } from '../../db/index.js';
import type { AbsenceJson } from '../../model/contract/answer-types.js';
import type { JsonObject } from '../../model/values/json.js';
import { deleteAbsence, getAbsence, putAbsence, type AbsenceRow } from '../../store/approvals/absences.js';
import { toStorableTime } from '../../store/instant.js';
import { unfitDelegate } from '../approvals/claims.js';
import { findPerson } from '../approvals/people.js';
import { actorOf, type Caller } from '../caller.js';
import { transact } from '../changes.js';
import { refuseCaller } from '../may.js';
import { invalid, notFound, refusal, type Refusal } from '../refusal.js';

// Each person sets their own absence. Nobody is made absent by somebody else.

export type Absence = { readonly kind: 'absence'; readonly body: AbsenceJson } | Refusal;

export async function readAbsence(caller: Caller): Promise<Absence> {
  const refused = refuseCaller(caller, 'getAbsence');
  if (refused !== null) return refused;
  const { id } = caller.principal;
  const row = await getAbsence(caller.deps.pool, id);
  return row === null ? notFound('absence of', id) : absenceOf(row);
}

export async function setAbsence(
  caller: Caller,
  given: Pick<AbsenceRow, 'from' | 'until' | 'delegate'>,
): Promise<Absence> {
  const denied = refuseCaller(caller, 'setAbsence');
  if (denied !== null) return denied;
  const { deps, principal } = caller;
  const { id, kind } = principal;
  if (kind !== 'human')
    return refusal(
      'HUMANS_ONLY',
      `\`${id}\` is of kind ${kind}: it decides nothing, so nobody stands in for it`,
    );
  const row: AbsenceRow = {
    principal: id,
    from: toStorableTime(given.from),
    until: toStorableTime(given.until),
    delegate: given.delegate,
    setAt: deps.now().toISOString(),
  };
  const refused = refuseTerm(row) ?? (await refuseDelegate(caller, row));
  if (refused !== null) return refused;
  await transact(caller, async (tx) => {
    await putAbsence(tx, row);
    await recordAbsence(caller, tx, 'absence.set', {
      from: row.from,
      until: row.until,
      delegate: row.delegate,
    });
  });
  return absenceOf(row);
}

/** Null: nobody stands in any more. */
export async function clearAbsence(caller: Caller): Promise<Refusal | null> {
  const refused = refuseCaller(caller, 'clearAbsence');
  if (refused !== null) return refused;
  await transact(caller, async (tx) => {
    if (await deleteAbsence(tx, caller.principal.id)) await recordAbsence(caller, tx, 'absence.cleared', {});
  });
  return null;
}

function refuseTerm({ from, until, setAt }: AbsenceRow): Refusal | null {
  if (until <= from)
    return invalid('the absence ends before it begins', [
      { pointer: '/until', message: 'must be later than `from`' },
    ]);
  return until <= setAt
    ? invalid('the absence is over already', [{ pointer: '/until', message: 'must be in the future' }])
    : null;
}

/** Roles are not checked here: a delegate is only shown what they may decide. */
async function refuseDelegate(
  { deps }: Caller,
  { principal, delegate }: AbsenceRow,
): Promise<Refusal | null> {
  if (delegate === principal) return unfitDelegate(delegate, 'self', 'who is away cannot stand in');
  const person = await findPerson(deps, delegate);
  if (person === null)
    return unfitDelegate(delegate, 'unknown', 'nobody of this name has a key or has signed in here');
  return person.kind === 'human'
    ? null
    : unfitDelegate(delegate, 'not_human', `only a human decides, and this is of kind ${person.kind}`);
}

function absenceOf({ principal, from, until, delegate, setAt }: AbsenceRow): Absence {
  return { kind: 'absence', body: { principal, from, until, delegate, setAt } };
}

async function recordAbsence(
  caller: Caller,
  tx: Tx,
  type: 'absence.set' | 'absence.cleared',
  data: JsonObject,
): Promise<void> {
  const { deps, requestId } = caller;
  await deps.chain.appendIn(tx, [
    {
      key: `${requestId}:${type}`,
      type,
      time: deps.now().toISOString(),
      actor: actorOf(caller),
      traceId: requestId,
      causation: requestId,
      data,
    },
  ]);
}
