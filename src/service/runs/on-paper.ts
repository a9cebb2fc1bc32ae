import type { z } from 'zod';
import type { Foreseen, StartRequest, SubmitRequest } from '../../client/types.js';
import { decide, initialRun } from '../../engine/index.js';
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
import { previewCalls } from '../../executors/preview.js';
import { giveWay } from '../../model/give-way.js';
import { mostChainBytes } from '../../model/limits.js';
import type { firstSubmit } from '../../model/contract/api.js';
import type { Message, MessageBody } from '../../model/message.js';
import type { PolicySet } from '../../model/policy-set.js';
import { makeKit, onPaper, showOnPaper } from '../../schema/kit.js';
import { stateWithoutValues, type RunDocument } from '../../store/runs/document.js';
import type { ListedRun } from '../../store/runs/runs.js';
import type { Caller } from '../caller.js';
import { planOf, readHeld, withDocument } from './body.js';

// What a start or a submit leads to is decided on paper before anything is stored, by the engine that decides it in the run, and
// as far as the run goes before it calls something, waits or ends.

const nobodysFlow = { author: null, promoter: null };

/** Everybody waits while a piece of a chain is decided, so that a piece reads and writes this much. */
const pieceBytes = 2_097_152;
/** Twice as many as a run may take at a time. */
const mostPieces = 8;

interface Paper {
  readonly plan: Plan;
  readonly kit: Kit;
  readonly makeMessage: (body: MessageBody) => Message;
}

type Origin = Pick<StartRequest, 'run' | 'environment' | 'principal'>;

function preparePaper(
  { run, environment, principal }: Origin,
  plan: Plan,
  policySet: PolicySet,
  now: Date,
): Paper {
  const kit = makeKit(policySet, environment, nobodysFlow, {
    ...onPaper,
    isRead,
    show: (transition, asking) => ({
      ...showOnPaper(transition, asking),
      ...previewCalls(transition, asking, (name) => writtenHeaders(policySet, name, environment)),
    }),
  });
  const time = now.toISOString();
  return {
    plan,
    kit,
    // Whoever asks may have the chain go on.
    makeMessage: (body) => {
      const by = body.kind === 'retry' ? { ...principal, permissions: ['run.operate'] } : principal;
      return { v: 1, id: `msg_${body.kind}`, run, time, principal: by, body, refs: [] };
    },
  };
}

/**
 * Refuses a start of which the run could not carry what it comes to before it calls anything: after its start, or after its first
 * submit. Null: it could, or something else stands against the submit, which the run says once it is started.
 */
export async function refuseTooFull(
  { flow, flowVersion, planHash, environment, mode, input, ...origin }: Omit<StartRequest, 'refuse'>,
  plan: Plan,
  policySet: PolicySet,
  first: z.output<typeof firstSubmit> | null,
  now: Date,
): Promise<Refusal | null> {
  const paper = preparePaper({ ...origin, environment }, plan, policySet, now);
  const about = { flow, flowVersion, planHash, environment, mode, input };
  const starting = paper.makeMessage({ kind: 'start', traceId: 'trc_paper', ...about });
  const empty = initialRun(plan, planHash, starting);
  if (empty === null) throw new Error('a start message makes a run');
  const { state: begun } = await follow(paper, empty, starting);
  const full = whyFull(begun);
  if (full !== null) return refuseStart(`a run of \`${plan.name}\` with this input comes to ${full}`);
  const refused = first === null ? null : await refuseSubmit(paper, begun, first);
  return refused === null ? null : refuseStart(refused.message);
}

/** What a run would refuse of a submit as `RUN_FULL`, were it the next thing that it takes. Null: nothing. */
export async function foreseeSubmit(
  caller: Caller,
  request: Pick<SubmitRequest, 'run' | 'transition' | 'arguments' | 'principal'>,
): Promise<Foreseen | null> {
  const foresee = async (row: ListedRun, document: RunDocument | null): Promise<Foreseen | null> => {
    const policySet = document === null ? null : await caller.deps.policies.policySet();
    if (document === null || policySet === null || !takesSubmits(row)) return null;
    const [plan, input] = await Promise.all([
      planOf(caller.deps, row.planHash),
      readHeld(caller.deps, document.heldInput),
    ]);
    const origin = { ...request, environment: row.environment };
    const paper = preparePaper(origin, plan, policySet, caller.deps.now());
    const refusal = await refuseSubmit(paper, { ...stateWithoutValues(document), input }, request);
    return refusal === null ? null : { rev: row.rev, refusal };
  };
  return withDocument(caller, request.run, foresee);
}

function takesSubmits({ status, executing }: Pick<ListedRun, 'status' | 'executing'>): boolean {
  return executing === null && status !== 'stuck' && !closedStatuses.includes(status);
}

async function refuseSubmit(
  paper: Paper,
  run: RunState,
  { transition, arguments: args = {} }: z.output<typeof firstSubmit>,
): Promise<Refusal | null> {
  const message = paper.makeMessage({ kind: 'submit', transition, arguments: args, expectedVersion: null });
  const { state, refusal } = await follow(paper, run, message);
  if (refusal !== null) return refusal.code === 'RUN_FULL' ? refusal : null;
  const full = whyFull(state);
  return full === null ? null : refuseFull(`\`${transition}\` cannot be taken: it leads on to ${full}`);
}

/** The run after the message and the chain behind it, decided piece by piece, so that others come in between. */
async function follow(
  paper: Paper,
  run: RunState,
  message: Message,
): Promise<{ readonly state: RunState; readonly refusal: Refusal | null }> {
  await giveWay();
  const first = play(paper, run, message, pieceBytes);
  let { state } = first;
  let left = paper.plan.maxChainDepth - state.chainDepth;
  for (let piece = 1; piece < mostPieces && left > 0; piece += 1) {
    const on = goOn(state);
    if (on === null) break;
    await giveWay();
    const plan = { ...paper.plan, maxChainDepth: left };
    ({ state } = play({ ...paper, plan }, on.from, paper.makeMessage({ kind: 'retry' }), on.bytes));
    left -= state.chainDepth;
  }
  return { state, refusal: refusalIn(first.effects, message) };
}

function play(
  { plan, kit }: Pick<Paper, 'plan' | 'kit'>,
  run: RunState,
  message: Message,
  chainBytes: number,
): EventResult {
  const event = { kind: 'message', time: message.time, message } as const;
  return decide(plan, run, event, { ...kit, chainBytes }, message.id);
}

/** From where a chain that was longer than a piece goes on, and how much the next piece is. Null: it has ended. */
function goOn(state: RunState): { readonly from: RunState; readonly bytes: number } | null {
  const { problem, stuckOn } = state;
  if (problem?.code !== 'CHAIN_TOO_LONG' || stuckOn?.kind !== 'chain') return null;
  // `until`: the conditions of the state by themselves are more than the piece.
  const bytes = stuckOn.until === undefined ? pieceBytes : mostChainBytes;
  return { from: { ...state, stuckOn: { kind: 'chain' } }, bytes };
}

function refusalIn(effects: EventResult['effects'], { id }: Message): Refusal | null {
  for (const effect of effects)
    if (effect.kind === 'answer' && effect.messageId === id && effect.answer.status === 'refused')
      return effect.answer;
  return null;
}

/** In which state the run is stuck since it carries as much as it can, and why; null: it is not. */
function whyFull({ status, problem, state }: RunState): string | null {
  return status === 'stuck' && problem?.code === 'RUN_FULL'
    ? `state \`${state}\`, where ${problem.message}`
    : null;
}

function refuseFull(message: string): Refusal {
  return { status: 'refused', code: 'RUN_FULL', message };
}

function refuseStart(why: string): Refusal {
  return refuseFull(`${why}; no run was started`);
}
