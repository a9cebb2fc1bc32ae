import { z } from 'zod';
import * as api from '../../model/api.js';
import * as inbox from '../../model/api-inbox-answers.js';
import type { JsonObject } from '../../model/json.js';
import type { Tx } from '../../db/index.js';
import { deleteAbsence, getAbsence, putAbsence, type AbsenceRow } from '../../store/absences.js';
import { storable } from '../../store/instant.js';
import {
  actorOf,
  answer,
  jsonBody,
  principalOf,
  route,
  type Call,
  type Reply,
  type Route,
} from '../http/call.js';
import { refusedDelegate } from './claims.js';
import { knownPerson } from '../approvals/people.js';
import { invalid, notFound, problem, type Problem } from '../contract/problem.js';

const own = { tag: 'Approvals', path: '/v1/absences', params: z.object({}), query: api.noQuery } as const;
const one = { 200: { description: 'the absence', schema: inbox.absence } };

/** Each person's own. Nobody is made absent by somebody else. */
export const absenceRoutes: readonly Route[] = [
  route({
    ...own,
    id: 'getAbsence',
    method: 'GET',
    summary: "The caller's absence, past ones too until there is another",
    answers: one,
    handle: async (call) => {
      const row = await getAbsence(call.deps.pool, principalOf(call).id);
      return row === null ? notFound('absence of', principalOf(call).id) : answer(200, shown(row));
    },
  }),
  route({
    ...own,
    id: 'setAbsence',
    method: 'PUT',
    summary:
      "Say that you are away, and who looks at your inbox meanwhile. The delegate's rights stay what they are: shown is what it may decide itself",
    body: jsonBody(api.absenceBody),
    answers: one,
    errors: ['HUMANS_ONLY', 'DELEGATE_UNFIT'],
    handle: (call, { body }) => set(call, body),
  }),
  route({
    ...own,
    id: 'clearAbsence',
    method: 'DELETE',
    summary: 'Say that you are back',
    answers: { 204: { description: 'nobody stands in any more' } },
    handle: async (call) => {
      const { id } = principalOf(call);
      await call.deps.transaction(async (tx) => {
        if (await deleteAbsence(tx, id)) await record(call, tx, 'absence.cleared', {});
      });
      return answer(204);
    },
  }),
];

async function set(call: Call, body: z.output<typeof api.absenceBody>): Promise<Reply> {
  const { id, kind } = principalOf(call);
  if (kind !== 'human')
    return problem(
      'HUMANS_ONLY',
      `\`${id}\` is of kind ${kind}: it decides nothing, so nobody stands in for it`,
    );
  const now = call.deps.now().toISOString();
  const row: AbsenceRow = {
    principal: id,
    from: storable(body.from),
    until: storable(body.until),
    delegate: body.delegate,
    setAt: now,
  };
  const refused = wrongTerm(row) ?? (await unfit(call, row));
  if (refused !== null) return refused;
  await call.deps.transaction(async (tx) => {
    await putAbsence(tx, row);
    await record(call, tx, 'absence.set', { from: row.from, until: row.until, delegate: row.delegate });
  });
  return answer(200, shown(row));
}

function wrongTerm({ from, until, setAt }: AbsenceRow): Problem | null {
  if (until <= from)
    return invalid('the absence ends before it begins', [
      { pointer: '/until', message: 'must be later than `from`' },
    ]);
  return until <= setAt
    ? invalid('the absence is over already', [{ pointer: '/until', message: 'must be in the future' }])
    : null;
}

/** Roles are no matter here: what the delegate may not decide, it is not shown. */
async function unfit(call: Call, { principal, delegate }: AbsenceRow): Promise<Problem | null> {
  if (delegate === principal) return refusedDelegate(delegate, 'self', 'who is away cannot stand in');
  const person = await knownPerson(call, delegate);
  if (person === null)
    return refusedDelegate(delegate, 'unknown', 'nobody of this name has a key or has signed in here');
  return person.kind === 'human'
    ? null
    : refusedDelegate(delegate, 'not_human', `only a human decides, and this is of kind ${person.kind}`);
}

function shown({ principal, from, until, delegate, setAt }: AbsenceRow): JsonObject {
  return { principal, from, until, delegate, setAt };
}

async function record(
  call: Call,
  tx: Tx,
  type: 'absence.set' | 'absence.cleared',
  data: JsonObject,
): Promise<void> {
  await call.deps.chain.appendIn(tx, [
    {
      key: `${call.requestId}:${type}`,
      type,
      time: call.deps.now().toISOString(),
      actor: actorOf(call),
      traceId: call.requestId,
      causation: call.requestId,
      data,
    },
  ]);
}
