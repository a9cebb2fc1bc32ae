import type { Transition } from './plan.js';
import type { Action, ApprovalState, Excluded, GateState, RunState } from './state.js';
import { decidersOf } from './deciders.js';
import { endOf, stageOf, stageTimes } from './deadlines.js';
import { actingPrincipal, type Draft } from './draft.js';
import type { Applying, AskingGate } from './gates.js';
import { evaluateGuard, type GuardContext } from './guards.js';
import { guardContext } from './links.js';
import { standingOf } from './standing.js';

// An approval as it opens: each gate with its own people and its own time.

export function newApproval(
  draft: Draft,
  transition: Transition,
  action: Action & { readonly approval: string },
  { gates, asked }: Applying,
): ApprovalState {
  const { run, kit } = draft;
  const at = guardContext(run, actingPrincipal(action), action.arguments);
  const opened = {
    action,
    gates: gates.map((gate) => openGate(draft, gate, at)),
    decisions: [],
    requesters: partiesTo(run, action),
  };
  return {
    ...opened,
    ...standingOf(opened, kit),
    id: action.approval,
    status: 'open',
    state: run.state,
    asked,
    human: transition.executor?.kind === 'human',
    queued: false,
    guards: transition.guards.map((guard, index) => {
      const { verdict, reason } = evaluateGuard(guard, at);
      return { index, kind: guard.kind, verdict, reason };
    }),
  };
}

/** Ids of all who asked for it: of what the runtime starts, everyone whose message led there. */
export function partiesTo({ ledWith = [] }: RunState, { requester, byRuntime }: Action): readonly string[] {
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

/** Who has a part in this already, where the gate asks for somebody who has none. */
function excludedFrom({ run, kit }: Draft, separation: AskingGate['rule']['separation']): Excluded[] {
  const found: Excluded[] = [];
  if (separation.author && kit.author !== null) found.push({ id: kit.author, why: 'author' });
  if (separation.promoter && kit.promoter !== null) found.push({ id: kit.promoter, why: 'promoter' });
  const earlier = separation.approvers === true ? (run.approvers ?? []) : [];
  return [...found, ...earlier.map((id): Excluded => ({ id, why: 'approver' }))];
}
