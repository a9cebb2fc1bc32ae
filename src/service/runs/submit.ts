import type { z } from 'zod';
import type * as api from '../../model/api.js';
import type { RunStandingJson, SubmittedJson } from '../../model/answer-types.js';
import type { Json } from '../../model/json.js';
import { actionIdOf } from '../../model/derived-ids.js';
import type { Answer as RunAnswer } from '../../engine/state.js';
import { getAction } from '../../store/actions.js';
import { getApproval } from '../../store/approvals.js';
import type { MessageOutcome, SubmitRequest } from '../../client/types.js';
import { effectId, type Caller } from '../caller.js';
import { askingOf } from '../effect.js';
import { refuseCaller } from '../may.js';
import type { Refusal } from '../refusal.js';
import { readJson } from '../values.js';
import { currentBody, visibleRun } from './body.js';
import { refusedByRun } from './refused-by-run.js';

/** What came of a submit; `body`: the run as it stands then. */
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

/** `wait`: seconds. */
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
    ...askingOf(caller, wait),
    run,
    messageId: effectId(caller, 'msg'),
    transition,
    arguments: body.arguments ?? {},
    expectedVersion: body.expectedVersion ?? null,
    trace: body.trace ?? null,
  };
  return outcomeOfSubmit(caller, request, await caller.deps.client.submit(request));
}

type Submitting = Pick<SubmitRequest, 'run' | 'transition' | 'messageId'>;

/** However it came to its run. */
export async function outcomeOfSubmit(
  caller: Caller,
  request: Submitting,
  outcome: MessageOutcome,
): Promise<Submitted | Refusal> {
  const refused = await refusedByRun(caller, request.run, outcome);
  if (refused !== null) return refused;
  if (outcome.status === 'answered') return settled(caller, request, outcome.answer);
  // After an attempt that was withdrawn, it has another id than the request first gave it.
  const messageId = outcome.status === 'executing' ? outcome.messageId : request.messageId;
  return executing(caller, { ...request, messageId });
}

async function settled(caller: Caller, request: Submitting, said: RunAnswer): Promise<Submitted> {
  if (said.status === 'pending') return pending(caller, request.run, said);
  if (said.status !== 'executed') return executing(caller, request);
  const { transition, chain } = said;
  const row = await getAction(caller.deps.pool, said.action);
  const output = await readJson(caller.deps, row?.outputRef ?? null);
  const { body } = await currentBody(caller, request.run);
  return { kind: 'executed', transition, output, body, chain };
}

async function executing(caller: Caller, { run, transition, messageId }: Submitting): Promise<Submitted> {
  const { body } = await currentBody(caller, run);
  return { kind: 'executing', transition, action: actionIdOf(messageId), body };
}

async function pending(
  caller: Caller,
  run: string,
  { transition, action, approval }: Extract<RunAnswer, { status: 'pending' }>,
): Promise<Submitted> {
  const [{ body }, opened] = await Promise.all([
    currentBody(caller, run),
    getApproval(caller.deps.pool, approval),
  ]);
  if (opened === null) throw new Error(`approval ${approval} of run ${run} is not in the store`);
  const { id, digest, roles, expiresAt } = opened;
  const fields = { id, href: `/v1/approvals/${id}`, digest, roles, expiresAt: expiresAt ?? '' };
  return { kind: 'pending', transition, action, approval: fields, body };
}
