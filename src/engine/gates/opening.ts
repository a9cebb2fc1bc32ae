import { isOpen } from '../../model/approval-status.js';
import { utf8Length } from '../../model/values/json.js';
import { mostApprovalsBytes, mostOpenApprovals, mostOpenBytes } from '../../model/limits.js';
import type { Principal } from '../../model/principal.js';
import { asksPeople, type Transition } from '../plan.js';
import type { Action, ApprovalState, Excluded, GateState, Refusal, RunState, Shown } from '../state.js';
import { asksTheSame } from '../effects/action.js';
import { changeApproval } from './changes.js';
import { decidersOf } from './deciders.js';
import { endOf, stageOf, stageTimes } from './deadlines.js';
import {
  actingPrincipal,
  actionFact,
  actorOf,
  answer,
  derivedId,
  project,
  record,
  refuse,
  type Draft,
} from '../run/draft.js';
import { boundRules, type Applying, type AskingGate } from './gates.js';
import { makeAsking } from './asking.js';
import type { From } from '../run/flow.js';
import { isWaiting, keptApprovals } from '../run/prune.js';
import { settle } from '../run/settle.js';
import { stick } from '../run/stuck/stuck.js';
import type { Until } from '../run/stuck/way-on.js';
import type { GuardContext } from '../guards.js';
import { guardContext } from '../links.js';
import { roomOf, takeValue } from '../effects/room.js';
import { standingOf } from './standing.js';

// How an approval opens: each gate with its own people and its own time. A request for the same as an open approval joins that approval.

export function openApproval(
  draft: Draft,
  transition: Transition,
  action: Action,
  { shown, repeatedBy, ...applying }: Applying & From & { readonly shown: Shown },
): void {
  const { run } = draft;
  const rules = boundRules(applying.gates);
  const same = run.approvals.find(
    (approval) => isOpen(approval.status) && asksTheSame(draft.kit, run, action, rules, approval),
  );
  if (same !== undefined) return attach(draft, same, action, repeatedBy);
  const id = derivedId(draft, 'apr', action.id);
  const parked = { ...action, approval: id };
  const opening = asRepeat(draft, makeApproval(draft, transition, parked, applying), repeatedBy);
  const room = roomTaken(draft, opening, shown);
  if (room.status === 'full') return refuseShowing(draft, transition, action, room.message);
  const approval = { ...opening, ...room.taken };
  run.approvals = [...run.approvals, approval];
  project(draft, parked, 'pending', { shown });
  record(draft, 'human.approval.requested', {
    actor: actorOf(actingPrincipal(action)),
    action: actionFact(parked),
    approval: id,
    refs: action.refs,
    data: {
      roles: [...approval.roles],
      quorum: Math.max(...approval.gates.map(({ rule }) => rule.quorum.count)),
      expiresAt: new Date(approval.expiresAt).toISOString(),
      because: approval.asked.map(({ rule }) => rule),
      ...(action.byRuntime === true ? { requesters: [...approval.requesters] } : {}),
    },
  });
  if (action.messageId !== null) {
    answer(draft, action.messageId, {
      status: 'pending',
      transition: transition.name,
      action: parked.id,
      approval: id,
    });
  }
  settle(draft);
}

/** The same requester's same request joins the open approval: the digest names who asked. */
function attach(draft: Draft, approval: ApprovalState, action: Action, repeatedBy: string | undefined): void {
  const requesters = [...new Set([...approval.requesters, ...partiesTo(draft.run, action)])];
  changeApproval(draft, approval.id, asRepeat(draft, { ...approval, requesters }, repeatedBy));
  if (action.messageId !== null) {
    answer(draft, action.messageId, {
      status: 'pending',
      transition: action.transition,
      action: approval.action.id,
      approval: approval.id,
    });
  }
  // The step before may have been an effect that somebody waits for: it is answered now.
  settle(draft);
}

function makeApproval(
  draft: Draft,
  transition: Transition,
  action: Action & { readonly approval: string },
  { gates, asked }: Applying,
): ApprovalState {
  const { run, kit } = draft;
  const at = guardContext(run, actingPrincipal(action), action.arguments);
  const ask = makeAsking(draft.work, transition.guards, at);
  const opened = {
    action,
    gates: gates.map((gate) => openGate(draft, gate, at)),
    decisions: [],
    requesters: partiesTo(run, action),
    ...runEnd(draft, false),
  };
  return {
    ...opened,
    ...standingOf(opened, kit),
    id: action.approval,
    status: 'open',
    state: run.state,
    asked,
    human: asksPeople(transition.executor),
    queued: false,
    guards: transition.guards.map((guard, index) => {
      const { verdict, reason } = ask(guard);
      return { index, kind: guard.kind, verdict, reason };
    }),
  };
}

function refuseShowing(draft: Draft, transition: Transition, action: Action, message: string): void {
  const said = { code: 'RUN_FULL', message } as const;
  refuseAsking(draft, transition, actingPrincipal(action), action.messageId, said, 'decisions');
}

type Taken = Required<Pick<ApprovalState, 'previewBytes' | 'argumentBytes' | 'documentBytes'>>;

/** How much an approval takes of its run's document; or why all open approvals together would take more than a run may have. */
function roomTaken(
  { run, work }: Draft,
  opening: ApprovalState,
  { preview }: Shown,
):
  { readonly status: 'fits'; readonly taken: Taken } | { readonly status: 'full'; readonly message: string } {
  // Approvals that have ended in this very step are still in the run, and will not be in its document.
  const approvals = keptApprovals(run);
  const waiting = approvals.filter(isWaiting).length;
  if (waiting >= mostOpenApprovals)
    return toFull(`the run has ${waiting} open approvals, and ${mostOpenApprovals} are the most of a run`);
  const documentBytes = bytesInDocument(opening);
  const before = approvals.reduce((sum, open) => sum + (open.documentBytes ?? 0), 0);
  if (before + documentBytes > mostApprovalsBytes)
    return toFull(
      `what the run carries of its open approvals (guards, gates, roles) takes ${before} bytes, with this one ${before + documentBytes}, and ${mostApprovalsBytes} are the most of a run`,
      before === 0 ? 'no run can have it: shorten its guards and gates in the flow' : undefined,
    );
  const argumentBytes = work.measure(opening.action.arguments).bytes;
  const left = approvals.reduce(
    (sum, open) => sum - (open.previewBytes ?? 0) - (open.argumentBytes ?? 0),
    mostOpenBytes - before - documentBytes - argumentBytes,
  );
  const room = roomOf(left);
  if (!takeValue(room, preview))
    return toFull(
      `with this the arguments of the open approvals, what they show and what the run carries of them would take more than ${mostOpenBytes} bytes, which are the most of a run`,
    );
  return { status: 'fits', taken: { argumentBytes, documentBytes, previewBytes: left - room.left } };
}

function toFull(
  why: string,
  next = 'have some decided first',
): { readonly status: 'full'; readonly message: string } {
  return { status: 'full', message: `${why}: ${next}` };
}

/** Bytes of canonical JSON that the approval takes of the document, which names a payload instead of the arguments. */
function bytesInDocument(approval: ApprovalState): number {
  const { arguments: _held, ...action } = approval.action;
  return utf8Length(JSON.stringify({ ...approval, action }));
}

/** The approval as one of a repeat: `by`, who has the effect repeated, counts as a requester too. `by` undefined: it is no repeat. */
function asRepeat(draft: Draft, approval: ApprovalState, by: string | undefined): ApprovalState {
  if (by === undefined) return approval;
  const { runEndsAt: _earlier, ...others } = approval;
  const requesters = [...new Set([...approval.requesters, by])];
  const asked = { ...others, ...runEnd(draft, true), repeats: true, requesters } as const;
  return { ...asked, ...standingOf(asked, draft.kit) };
}

/**
 * When the run's own time ends the approval. It does not where the run stays in its state then: its `onTimeout` target is this
 * state, or a repeat waits until a person has said what happened.
 */
function runEnd(
  { plan, run: { deadline, state } }: Draft,
  repeats: boolean,
): Pick<ApprovalState, 'runEndsAt'> {
  const target = plan.onTimeout?.target ?? null;
  const stays = target === state || (repeats && target !== null);
  return deadline === null || stays ? {} : { runEndsAt: deadline };
}

/** Ids of all who asked for an action: for one that the runtime starts, everyone whose message led there. */
function partiesTo({ ledWith = [] }: RunState, { requester, byRuntime }: Action): readonly string[] {
  const asked = requester === null ? [] : [requester.id];
  return byRuntime === true ? [...new Set([...asked, ...ledWith])] : asked;
}

function openGate(draft: Draft, { rule, asked }: AskingGate, at: GuardContext): GateState {
  const { kit } = draft;
  const deciders = decidersOf(rule, kit);
  const end = endOf(rule, at);
  const endsAt = end.status === 'at' ? end.at : undefined;
  const from = Date.parse(draft.time);
  const { expiresAt, reminders } = stageTimes(rule, stageOf(rule, 0), kit, from, deciders.roles, endsAt);
  const excluded = excludedFrom(draft, rule.separation);
  return {
    rule,
    source: asked.source,
    ...deciders,
    expiresAt,
    ...(reminders.length === 0 ? {} : { reminders }),
    ...(endsAt === undefined ? {} : { endsAt }),
    ...(excluded.length === 0 ? {} : { excluded }),
  };
}

/** Who may not decide at a gate for its rule of separation: author, promoter and earlier approvers, where it excludes these. */
function excludedFrom({ run, kit }: Draft, separation: AskingGate['rule']['separation']): Excluded[] {
  const found: Excluded[] = [];
  if (separation.author && kit.author !== null) found.push({ id: kit.author, why: 'author' });
  if (separation.promoter && kit.promoter !== null) found.push({ id: kit.promoter, why: 'promoter' });
  const earlier = separation.approvers === true ? (run.approvers ?? []) : [];
  return [...found, ...earlier.map((id): Excluded => ({ id, why: 'approver' }))];
}

export type Unaskable = Pick<Refusal, 'code' | 'message' | 'rule'>;

/**
 * Refuses a step for which nobody can be asked: its end cannot be read, it is too large to be shown, the context could not
 * keep it, or nothing of it could be called. The submit is refused; without a submit the run is stuck.
 */
export function refuseAsking(
  draft: Draft,
  { name }: Transition,
  requester: Principal | null,
  messageId: string | null,
  why: Unaskable,
  until: Until = 'never',
): void {
  const { code, message } = why;
  if (messageId === null) return stick(draft, { code, message }, { kind: 'chain', until });
  record(draft, 'transition.rejected', {
    actor: actorOf(requester),
    causation: messageId,
    action: { transition: name },
    policy: { rule: code, verdict: 'refused', reason: message },
    data: { code },
  });
  refuse(draft, messageId, { ...why, message: `\`${name}\` cannot be asked for: ${message}` });
}
