import type { z } from 'zod';
import type { StartRequest } from '../../client/types.js';
import { decide, initialRun } from '../../engine/index.js';
import type { Plan } from '../../engine/plan.js';
import type { EventResult, Refusal, RunState } from '../../engine/state.js';
import { giveWay } from '../../model/give-way.js';
import type { firstSubmit } from '../../model/contract/api.js';
import type { Message, MessageBody } from '../../model/message.js';
import type { PolicySet } from '../../model/policy-set.js';
import { makeKit } from '../../schema/kit.js';

// What a start leads to is decided on paper before anything is stored, by the engine that decides it in the run.

const nobodysFlow = { author: null, promoter: null };

// Everybody waits while it is decided, so that a chain is followed for a part of the way that it may go: what it comes to behind
// that, the run says.
const mostSteps = 20;
const mostChainBytes = 2_097_152;

/**
 * Refuses a start of which the run could not carry what it comes to before it calls anything: after its start, or after its first
 * submit. Null: it could, or something else stands against the submit, which the run says once it is started.
 */
export async function refuseTooFull(
  { run: id, flow, flowVersion, planHash, environment, mode, input, principal }: Omit<StartRequest, 'refuse'>,
  plan: Plan,
  policySet: PolicySet,
  first: z.output<typeof firstSubmit> | null,
  now: Date,
): Promise<Refusal | null> {
  const kit = { ...makeKit(policySet, environment, nobodysFlow), chainBytes: mostChainBytes };
  const shortPlan = { ...plan, maxChainDepth: Math.min(plan.maxChainDepth, mostSteps) };
  const time = now.toISOString();
  const makeMessage = (body: MessageBody): Message => {
    return { v: 1, id: `msg_${body.kind}`, run: id, time, principal, body, refs: [] };
  };
  const play = (run: RunState, message: Message): EventResult =>
    decide(shortPlan, run, { kind: 'message', time, message }, kit, message.id);
  const about = { flow, flowVersion, planHash, environment, mode, input };
  const starting = makeMessage({ kind: 'start', traceId: 'trc_paper', ...about });
  const empty = initialRun(plan, planHash, starting);
  if (empty === null) throw new Error('a start message makes a run');
  await giveWay();
  const { state: begun } = play(empty, starting);
  if (begun.status === 'stuck' && begun.problem?.code === 'RUN_FULL')
    return full(
      `a run of \`${plan.name}\` with this input comes to state \`${begun.state}\`, where ${begun.problem.message}`,
    );
  if (first === null) return null;
  await giveWay();
  const { transition, arguments: args = {} } = first;
  const submitted = makeMessage({ kind: 'submit', transition, arguments: args, expectedVersion: null });
  for (const effect of play(begun, submitted).effects) {
    const answer = effect.kind === 'answer' ? effect.answer : null;
    if (answer?.status === 'refused' && answer.code === 'RUN_FULL') return full(answer.message);
  }
  return null;
}

function full(why: string): Refusal {
  return { status: 'refused', code: 'RUN_FULL', message: `${why}; no run was started` };
}
