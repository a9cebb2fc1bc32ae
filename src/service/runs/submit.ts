import type { z } from 'zod';
import type * as api from '../../model/contract/api.js';
import type { RunStandingJson, SubmittedJson } from '../../model/contract/answer-types.js';
import type { Json } from '../../model/values/json.js';
import { actionIdOf } from '../../model/names/derived-ids.js';
import type { Answer as RunAnswer } from '../../engine/state.js';
import { getAction } from '../../store/runs/actions.js';
import { getApproval } from '../../store/approvals/approvals.js';
import type { MessageOutcome, SubmitRequest } from '../../client/types.js';
import { deriveId, type Caller } from '../caller.js';
import { requestBaseOf } from '../kept-result.js';
import { refuseCaller } from '../may.js';
import type { Refusal } from '../refusal.js';
import { readJson } from '../values.js';
import { readStanding } from './standing.js';
import { visibleRun } from './visible.js';
import { foreseeSubmit } from './on-paper.js';
import { refusalFromRun } from './refused-by-run.js';

/** What came of a submit; `body` is the run as it stands afterwards. */
export type Submitted =
  | {
      readonly kind: 'executed';
      readonly transition: string;
      readonly output: Json;
      readonly body: RunStandingJson;
      readonly chain: Extract<RunAnswer, { status: 'executed' }>['chain'];
    }
  | {
      readonly kind: 'pending';
      readonly transition: string;
      readonly action: string;
      readonly approval: Extract<SubmittedJson['result'], { status: 'pending' }>['approval'];
      readonly body: RunStandingJson;
    }
  | {
      readonly kind: 'executing';
      readonly transition: string;
      readonly action: string;
      readonly body: RunStandingJson;
    };

/** Submits a transition to a run that the caller may see. `wait`: seconds. */
export async function submitTransition(
  caller: Caller,
  { run, transition }: { readonly run: string; readonly transition: string },
  body: z.output<typeof api.submitBody>,
  wait: number,
): Promise<Submitted | Refusal> {
  const refused = refuseCaller(caller, 'submitTransition');
  if (refused !== null) return refused;
  const found = await visibleRun(caller, run);
  if (found.kind === 'refusal') return found;
  const request = {
    ...requestBaseOf(caller, wait),
    run,
    messageId: deriveId(caller, 'msg'),
    transition,
    arguments: body.arguments ?? {},
    expectedVersion: body.expectedVersion ?? null,
    trace: body.trace ?? null,
  };
  const foresee: SubmitRequest['foresee'] = (refs, signal) => foreseeSubmit(caller, request, refs, signal);
  return resultOfSubmit(caller, request, await caller.deps.client.submit({ ...request, foresee }));
}

type Submitting = Pick<SubmitRequest, 'run' | 'transition' | 'messageId'>;

/** What came of a submit, whether it came to its run alone or with the start. */
export async function resultOfSubmit(
  caller: Caller,
  request: Submitting,
  outcome: MessageOutcome,
): Promise<Submitted | Refusal> {
  const refused = await refusalFromRun(caller, request.run, outcome);
  if (refused !== null) return refused;
  if (outcome.status === 'answered') return answerToSubmit(caller, request, outcome.answer);
  // After a withdrawn attempt the message has another id than the request first gave it.
  const messageId = outcome.status === 'executing' ? outcome.messageId : request.messageId;
  return executingResult(caller, { ...request, messageId });
}

async function answerToSubmit(caller: Caller, request: Submitting, answer: RunAnswer): Promise<Submitted> {
  if (answer.status === 'pending') return pendingResult(caller, request.run, answer);
  if (answer.status !== 'executed') return executingResult(caller, request);
  const { transition, chain } = answer;
  const row = await getAction(caller.deps.pool, answer.action);
  const output = await readJson(caller.deps, row?.outputRef ?? null);
  const { body } = await readStanding(caller, request.run);
  return { kind: 'executed', transition, output, body, chain };
}

async function executingResult(
  caller: Caller,
  { run, transition, messageId }: Submitting,
): Promise<Submitted> {
  const { body } = await readStanding(caller, run);
  return { kind: 'executing', transition, action: actionIdOf(messageId), body };
}

async function pendingResult(
  caller: Caller,
  run: string,
  { transition, action, approval }: Extract<RunAnswer, { status: 'pending' }>,
): Promise<Submitted> {
  const [{ body }, opened] = await Promise.all([
    readStanding(caller, run),
    getApproval(caller.deps.pool, approval),
  ]);
  if (opened === null) throw new Error(`approval ${approval} of run ${run} is not in the store`);
  const { id, digest, roles, expiresAt } = opened;
  const fields = { id, href: `/v1/approvals/${id}`, digest, roles, expiresAt: expiresAt ?? '' };
  return { kind: 'pending', transition, action, approval: fields, body };
}
