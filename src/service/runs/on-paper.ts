import type { z } from 'zod';
import type { Foreseen, StartRequest, SubmitRequest } from '../../client/types.js';
import { decide, initialRun, tooMuchOf } from '../../engine/index.js';
import type { Plan } from '../../engine/plan.js';
import {
  closedStatuses,
  type EventResult,
  type Kit,
  type Refusal,
  type RunState,
} from '../../engine/state.js';
import { writtenHeaders } from '../../executors/connections/address.js';
import { isRead } from '../../executors/effects.js';
import { previewCalls, whyTooLarge } from '../../executors/preview.js';
import { giveWay } from '../../model/give-way.js';
import type { firstSubmit } from '../../model/contract/api.js';
import type { Message, MessageBody } from '../../model/message.js';
import type { PolicySet } from '../../model/policy-set.js';
import type { PayloadRef } from '../../model/records.js';
import { makeKit, onPaper, showOnPaper } from '../../schema/kit.js';
import { publisherOf } from '../../store/flows/flows.js';
import { stateWithoutValues, type RunDocument } from '../../store/runs/document.js';
import type { ListedRun } from '../../store/runs/runs.js';
import type { Caller } from '../caller.js';
import { makeFairTurns } from '../seats.js';
import { planOf } from './links.js';
import { readHeld, withDocument } from './document.js';

// What a start or a submit leads to is decided on paper before anything is stored, by the engine that decides it in the run, and
// as far as the run goes before it calls something, waits or ends.

interface Paper {
  readonly plan: Plan;
  readonly kit: Kit;
  readonly makeMessage: (id: string, body: MessageBody, refs: readonly PayloadRef[]) => Message;
}

type Origin = Pick<StartRequest, 'run' | 'environment' | 'principal' | 'flow' | 'flowVersion'>;

async function preparePaper(
  { deps }: Caller,
  { run, environment, principal, flow, flowVersion }: Origin,
  plan: Plan,
  policySet: PolicySet,
): Promise<Paper> {
  const publisher = await publisherOf(deps.pool, flow, flowVersion);
  const kit = makeKit(
    policySet,
    environment,
    { author: publisher, promoter: publisher },
    {
      ...onPaper,
      isRead,
      whyTooLarge,
      show: (transition, asking) => ({
        ...showOnPaper(transition, asking),
        ...previewCalls(transition, asking, (name) => writtenHeaders(policySet, name, environment)),
      }),
    },
  );
  const time = deps.now().toISOString();
  return {
    plan,
    kit: { ...kit, trustsConnections: true },
    makeMessage: (id, body, refs) => ({ v: 1, id, run, time, principal, body, refs }),
  };
}

/** How many starts are decided at a time, in one process and for one principal: each takes as much work as its run's first step. */
const mostStarts = 4;
const mostOwnStarts = 1;
const startTurns = makeFairTurns({ each: mostOwnStarts, all: mostStarts });

/** A submit that comes with a start. */
interface First {
  readonly messageId: string;
  readonly submit: z.output<typeof firstSubmit>;
}

/**
 * Refuses a start of which the run could not carry what it comes to before it calls anything: after its start, or after its first
 * submit. Null: it could, or something else stands against the submit, which the run says once it is started. `refs`: those of the
 * first submit.
 */
export async function refuseTooFull(
  caller: Caller,
  { run, flow, flowVersion, planHash, environment, mode, input, principal }: Omit<StartRequest, 'refuse'>,
  {
    plan,
    policySet,
    first,
  }: { readonly plan: Plan; readonly policySet: PolicySet; readonly first: First | null },
  refs: readonly PayloadRef[],
): Promise<Refusal | null> {
  const origin = { run, environment, principal, flow, flowVersion };
  const paper = await preparePaper(caller, origin, plan, policySet);
  return startTurns(caller.principal.id, async () => {
    const about = { flow, flowVersion, planHash, environment, mode, input };
    const starting = paper.makeMessage('msg_start', { kind: 'start', traceId: 'trc_paper', ...about }, []);
    const empty = initialRun(plan, planHash, starting);
    if (empty === null) throw new Error('a start message makes a run');
    const { state: begun } = await play(paper, empty, starting);
    const tooMuch = tooMuchOf(begun, paper.kit);
    if (tooMuch !== null) {
      const { code, where, message } = tooMuch;
      return refuseStart(
        code,
        `a run of \`${plan.name}\` with this input comes to ${where}, where ${message}`,
      );
    }
    if (first === null) return null;
    const refused = await refuseSubmit(paper, begun, { ...first.submit, messageId: first.messageId }, refs);
    return refused === null ? null : refuseStart(refused.code, refused.message);
  });
}

/**
 * Whether a run has room for a submit, were it the next thing that it takes. Null: something else stands against it, which is said
 * later, or the run's input cannot be read.
 */
export async function foreseeSubmit(
  caller: Caller,
  request: Pick<
    SubmitRequest,
    'run' | 'messageId' | 'transition' | 'arguments' | 'expectedVersion' | 'principal'
  >,
  refs: readonly PayloadRef[],
): Promise<Foreseen | null> {
  const foresee = async (row: ListedRun, document: RunDocument | null): Promise<Foreseen | null> => {
    const policySet = document === null ? null : await caller.deps.policies.policySet();
    if (document === null || policySet === null || !takesSubmits(row)) return null;
    const { run, principal } = request;
    const { environment, flow, flowVersion, planHash, rev } = row;
    const plan = await planOf(caller.deps, planHash);
    const [paper, input] = await Promise.all([
      preparePaper(caller, { run, principal, environment, flow, flowVersion }, plan, policySet),
      readHeld(caller.deps, document.heldInput),
    ]);
    if (input === null) return null;
    const refusal = await refuseSubmit(paper, { ...stateWithoutValues(document), input }, request, refs);
    return { rev, refusal };
  };
  return withDocument(caller, request.run, foresee);
}

function takesSubmits({ status, executing }: Pick<ListedRun, 'status' | 'executing'>): boolean {
  return executing === null && status !== 'stuck' && !closedStatuses.includes(status);
}

/** What the door says of a submit; whatever else stands against it, the run says. */
const saidAtTheDoor: readonly Refusal['code'][] = ['RUN_FULL', 'TOO_LARGE'];

async function refuseSubmit(
  paper: Paper,
  run: RunState,
  asked: {
    readonly messageId: string;
    readonly transition: string;
    readonly arguments?: SubmitRequest['arguments'] | undefined;
    readonly expectedVersion?: number | null;
  },
  refs: readonly PayloadRef[],
): Promise<Refusal | null> {
  const { messageId, transition, arguments: args = {}, expectedVersion = null } = asked;
  const body = { kind: 'submit', transition, arguments: args, expectedVersion } as const;
  for (const effect of (await play(paper, run, paper.makeMessage(messageId, body, refs))).effects) {
    const answer = effect.kind === 'answer' && effect.messageId === messageId ? effect.answer : null;
    if (answer?.status === 'refused' && saidAtTheDoor.includes(answer.code)) return answer;
  }
  return null;
}

async function play({ plan, kit }: Paper, run: RunState, message: Message): Promise<EventResult> {
  await giveWay();
  return decide(plan, run, { kind: 'message', time: message.time, message }, kit, message.id);
}

function refuseStart(code: Refusal['code'], why: string): Refusal {
  return { status: 'refused', code, message: `${why}; no run was started` };
}
