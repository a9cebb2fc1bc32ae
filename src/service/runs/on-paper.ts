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
import { canBeMade, previewCalls, whyTooLarge } from '../../executors/preview.js';
import { giveWay } from '../../model/give-way.js';
import type { firstSubmit } from '../../model/contract/api.js';
import type { Message, MessageBody } from '../../model/message.js';
import type { PolicySet } from '../../model/policy-set.js';
import type { PayloadRef } from '../../model/records.js';
import { makeKit, onPaper, showOnPaper } from '../../schema/kit.js';
import { mostUnanswered } from '../../model/limits.js';
import { publisherOf } from '../../store/flows/flows.js';
import { stateWithoutValues, type RunDocument } from '../../store/runs/document.js';
import { countUnanswered } from '../../store/runs/messages.js';
import type { ListedRun } from '../../store/runs/runs.js';
import type { Caller } from '../caller.js';
import { makeTurns } from '../seats.js';
import { planOf } from './links.js';
import { readDocument, readHeld } from './document.js';
import { makePlayedRuns, playAhead, readWaiting, type Ahead } from './ahead.js';

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
      ...{ whyTooLarge, canBeMade },
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
  const about = { flow, flowVersion, planHash, environment, mode, input };
  const starting = paper.makeMessage('msg_start', { kind: 'start', traceId: 'trc_paper', ...about }, []);
  const empty = initialRun(plan, planHash, starting);
  if (empty === null) throw new Error('a start message makes a run');
  const { state: begun } = await play(paper, empty, starting);
  const tooMuch = tooMuchOf(begun, paper.kit);
  if (tooMuch !== null) {
    const { code, where, message } = tooMuch;
    return refuseStart(code, `a run of \`${plan.name}\` with this input comes to ${where}, where ${message}`);
  }
  if (first === null) return null;
  const refused = await refuseSubmit(paper, begun, { ...first.submit, messageId: first.messageId }, refs);
  return refused === null ? null : refuseStart(refused.code, refused.message);
}

/** How many submits are decided at a time, in one process, for all principals: each has a document, which may have megabytes. */
const mostSubmits = 8;
/**
 * Not those of documents that are read for answers: a submit holds its run's turn here, and whoever reads much would hold it. Nor does
 * it wait here for others of its principal: those keep it from its turn.
 */
const submitTurns = makeTurns(mostSubmits);

/** How many runs are kept as they would be after what waits for them, and for how long: each may have megabytes. */
const mostPlayedRuns = 8;
const longestPlayedMs = 10_000;
const playedRuns = makePlayedRuns({ most: mostPlayedRuns, ms: longestPlayedMs });

/**
 * Whether a run has room for a submit, once it has taken the submits that wait for it. It has also where something else stands
 * against the submit, which is said later. Null: nobody knows, since the run takes no submits now, or something that waits is no submit
 * or cannot be read; or nobody waits for this any more.
 */
export async function foreseeSubmit(
  caller: Caller,
  request: Pick<
    SubmitRequest,
    'run' | 'messageId' | 'transition' | 'arguments' | 'expectedVersion' | 'principal'
  >,
  refs: readonly PayloadRef[],
  signal: AbortSignal,
): Promise<Foreseen | null> {
  const { deps } = caller;
  const foresee = async (row: ListedRun, document: RunDocument | null): Promise<Foreseen | null> => {
    if (signal.aborted) return null;
    const [policySet, { ids: waiting, submits }] = await Promise.all([
      deps.policies.policySet(),
      countUnanswered(deps.pool, row.id),
    ]);
    const { environment, flow, flowVersion, planHash, rev } = row;
    if (policySet === null || document === null || !takesSubmits(row)) return null;
    if (submits >= mostUnanswered) return null;
    const { run, principal } = request;
    const plan = await planOf(deps, planHash);
    const paper = await preparePaper(
      caller,
      { run, principal, environment, flow, flowVersion },
      plan,
      policySet,
    );
    const footing = { rev, policySet };
    const from = playedRuns.find(run, footing, waiting) ?? (await stateOf(caller, document));
    if (from === null) return null;
    const playing = {
      read: (ids: readonly string[]) => readWaiting(deps, row, ids),
      play: async (state: RunState, message: Message) => (await play(paper, state, message)).state,
      keep: (ahead: Ahead) => playedRuns.keep(run, footing, [ahead]),
    };
    const ahead = await playAhead(from, waiting, playing, signal);
    if (ahead === null) return null;
    const refusal = await refuseSubmit(paper, ahead.state, request, refs, (state) =>
      playedRuns.keep(run, footing, [ahead, { waiting: [...waiting, request.messageId], state }]),
    );
    return { rev, waiting, refusal };
  };
  return submitTurns(async () => (signal.aborted ? null : readDocument(deps.pool, request.run, foresee)));
}

/** The run as its last step has left it; null: its input cannot be read. */
async function stateOf({ deps }: Caller, document: RunDocument): Promise<Ahead | null> {
  const input = await readHeld(deps, document.heldInput);
  return input === null ? null : { waiting: [], state: { ...stateWithoutValues(document), input } };
}

function takesSubmits({ status, executing }: ListedRun): boolean {
  return executing === null && status !== 'stuck' && !closedStatuses.includes(status);
}

/**
 * What the door says of a submit; whatever else stands against it, the run says. Behind an effect, an end or what leaves it stuck, the
 * run on paper says none of these.
 */
const saidAtTheDoor: readonly Refusal['code'][] = ['RUN_FULL', 'TOO_LARGE'];

/** `after`: called with the run as it is then. */
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
  after: (state: RunState) => void = () => undefined,
): Promise<Refusal | null> {
  const { messageId, transition, arguments: args = {}, expectedVersion = null } = asked;
  const body = { kind: 'submit', transition, arguments: args, expectedVersion } as const;
  const { state, effects } = await play(paper, run, paper.makeMessage(messageId, body, refs));
  after(state);
  for (const effect of effects) {
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
