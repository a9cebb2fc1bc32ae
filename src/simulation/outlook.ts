import { isOpen } from '../model/approval-status.js';
import { gateViews, links, mayDecide } from '../engine/index.js';
import { decidersOf } from '../engine/gates/deciders.js';
import { applyingGates, gatesOf, whenAsked, type AskingGate } from '../engine/gates/gates.js';
import { evaluateGuard, readsArguments } from '../engine/guards.js';
import { actorAllows, blockedBy, blockText, findState, guardContext, takersOf } from '../engine/links.js';
import type { ApprovalState, GateState, GateView, GuardReport } from '../engine/state.js';
import type { Transition } from '../engine/plan.js';
import { closedStatuses } from '../engine/state.js';
import type { JsonObject } from '../model/values/json.js';
import type { Principal } from '../model/principal.js';
import { act, type Play } from './play.js';

// What each principal could do next, and who could approve it. The engine tells, by a submit on a copy of the run.

type Could =
  /** The submit would be taken: at once, or after an approval. */
  | { readonly status: 'yes' }
  /** Only the arguments decide: a schema requires some, or a guard reads them. */
  | { readonly status: 'depends'; readonly on: string }
  | {
      readonly status: 'no';
      readonly code: string;
      readonly message: string;
      readonly guard: GuardReport | null;
    };

export interface Option {
  readonly transition: string;
  readonly title: string;
  readonly listed: boolean;
  readonly could: Could;
  /** Null: no gate. */
  readonly gate: {
    /** `always`, or the conditions of the gates. */
    readonly when: string;
    readonly roles: readonly string[];
    readonly approvers: readonly string[];
  } | null;
}

interface Decider {
  readonly principal: string;
  readonly may: boolean;
  /** Why not: `requester`, `role_missing` … */
  readonly why: string | null;
}

export interface Outlook {
  readonly principals: readonly {
    readonly name: string;
    readonly kind: Principal['kind'];
    readonly options: readonly Option[];
  }[];
  readonly approvals: readonly {
    readonly transition: string;
    readonly arguments: JsonObject;
    readonly status: string;
    readonly roles: readonly string[];
    readonly quorum: number;
    /** The gates that it waits at: all of them must be approved. */
    readonly gates: readonly GateView[];
    readonly because: readonly string[];
    readonly deciders: readonly Decider[];
  }[];
}

export function outlook(play: Play, principals: ReadonlyMap<string, Principal>): Outlook {
  const { run, plan } = play;
  const state = findState(plan, run.state);
  const over = closedStatuses.includes(run.status) || run.status === 'stuck';
  const transitions = over
    ? []
    : (state?.transitions ?? []).filter((transition) => transition.actor !== 'deterministic');
  return {
    principals: [...principals].map(([name, principal]) => {
      const listed = new Set(links(plan, run, principal, play.kit).map((link) => link.rel));
      return {
        name,
        kind: principal.kind,
        options: transitions.map((transition) => ({
          transition: transition.name,
          title: transition.title,
          listed: listed.has(transition.name),
          could: judgeSubmit(play, transition, principal),
          gate: gateOf(play, transition, principal, principals),
        })),
      };
    }),
    approvals: run.approvals
      .filter(({ status }) => isOpen(status))
      .map((approval) => ({
        transition: approval.action.transition,
        arguments: approval.action.arguments,
        status: approval.status,
        roles: approval.roles,
        quorum: Math.max(...approval.gates.map(({ rule }) => rule.quorum.count)),
        gates: gateViews(approval, play.kit),
        because: approval.asked.map(({ rule }) => rule),
        deciders: [...principals].map(([name, principal]) => judgeDecider(play, approval, name, principal)),
      })),
  };
}

/** Asks the engine, by a submit without arguments. Where arguments are missing, the checks before and after them still decide. */
function judgeSubmit(play: Play, transition: Transition, principal: Principal): Could {
  const tried = act(play, {
    kind: 'submit',
    transition: transition.name,
    as: principal,
    arguments: {},
    expectedVersion: null,
  });
  if ('status' in tried || tried.answer?.status !== 'refused') return { status: 'yes' };
  const { code, message, guard = null } = tried.answer;
  // A transition that takes no arguments is not refused for them, but for what it reads of its run.
  if (code === 'INPUT_INVALID' && transition.inputSchema !== null)
    return judgeWithArguments(play, transition, principal);
  const read = guard === null ? undefined : transition.guards[guard.index];
  if (code === 'GUARD_REJECTED' && read !== undefined && readsArguments(read))
    return judgeWithArguments(play, transition, principal);
  // The executor fails because the case says so: the submit itself was taken.
  if (code === 'EXECUTOR_FAILED') return { status: 'yes' };
  return { status: 'no', code, message, guard };
}

function judgeWithArguments(play: Play, transition: Transition, principal: Principal): Could {
  const no = (code: string, message: string, guard: GuardReport | null = null): Could => ({
    status: 'no',
    code,
    message,
    guard,
  });
  if (!actorAllows(transition.actor, principal.kind)) return no('ACTOR_MISMATCH', takersOf[transition.actor]);
  const rule = blockedBy(play.plan, transition, play.kit);
  if (rule !== null) return no('BLOCKED', blockText(rule));
  const at = guardContext(play.run, principal, {});
  const open: number[] = [];
  for (const [index, guard] of transition.guards.entries()) {
    if (readsArguments(guard)) {
      open.push(index);
      continue;
    }
    const { verdict, reason } = evaluateGuard(guard, at);
    if (verdict !== 'pass') {
      const message = `guard ${index} (${guard.kind}) of \`${transition.name}\` refused: ${reason}`;
      return no('GUARD_REJECTED', message, { index, kind: guard.kind, verdict, reason });
    }
  }
  const on = ['its arguments', ...open.map((index) => `guard ${index}`)].join(' and ');
  return { status: 'depends', on };
}

function gateOf(
  play: Play,
  transition: Transition,
  requester: Principal,
  principals: ReadonlyMap<string, Principal>,
): Option['gate'] {
  const gates = gatesOf(transition, play.kit);
  const at = guardContext(play.run, requester, {});
  const open = gates.filter(({ on }) => on !== null && readsArguments(on));
  const sure = applyingGates(
    gates.filter((gate) => !open.includes(gate)),
    at,
  );
  // Conditions read arguments that nobody has given yet. An error makes a gate apply, so these are all gates that may apply.
  const asking = (sure ?? applyingGates(open, at))?.gates ?? [];
  if (asking.length === 0) return null;
  const approval = sketchApproval(play, asking, requester);
  return {
    when: sure === null ? (whenAsked(open) ?? 'always') : 'always',
    roles: [...new Set(approval.gates.flatMap((gate) => gate.roles))],
    approvers: [...principals]
      .filter(([, candidate]) => judgeDecider(play, approval, candidate.id, candidate).may)
      .map(([name]) => name),
  };
}

/** As much of an approval as is needed to tell who may decide it. */
function sketchApproval(play: Play, asking: readonly AskingGate[], requester: Principal): Sketch {
  const gates = asking.map(({ rule, asked }): GateState => ({
    rule,
    source: asked.source,
    ...decidersOf(rule, play.kit),
    expiresAt: play.now,
  }));
  return { gates, requesters: [requester.id], decisions: [] };
}

type Sketch = Pick<ApprovalState, 'gates' | 'requesters' | 'decisions'>;

function judgeDecider({ kit }: Play, approval: Sketch, name: string, principal: Principal): Decider {
  const may = mayDecide(approval, principal, kit);
  return { principal: name, may: may.status === 'yes', why: may.status === 'yes' ? null : may.why };
}
