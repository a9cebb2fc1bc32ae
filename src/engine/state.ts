import type { ErrorClass, ErrorCode, ProblemCode } from '../model/errors.js';
import type { Json, JsonObject } from '../model/json.js';
import type { Message, MessageRefusal } from '../model/message.js';
import type { Principal, PrincipalKind } from '../model/principal.js';
import type { Fact, PayloadRef } from '../model/records.js';
import type { Executor, Floor, Gate, GateSource, Reliability, Tier, Transition } from './plan.js';

export type RunStatus = 'running' | 'waiting' | 'stuck' | 'completed' | 'cancelled' | 'failed' | 'timed_out';
export const closedStatuses: readonly RunStatus[] = ['completed', 'cancelled', 'failed', 'timed_out'];

export type ApprovalStatus =
  'open' | 'approved' | 'denied' | 'expired' | 'escalated' | 'revoked' | 'consumed';
export type ActionStatus =
  'pending' | 'approved' | 'denied' | 'expired' | 'revoked' | 'executing' | 'executed' | 'failed' | 'unknown';

export interface Evidence {
  readonly id: string;
  readonly kind: string;
  readonly at: string;
  /** The stay in which it was recorded. */
  readonly stay: number;
  readonly state: string;
  /** For `human_request`: who approved. */
  readonly by: string | null;
}

export interface Who {
  readonly id: string;
  readonly kind: PrincipalKind | 'runtime';
}

/** One intended effect: what the digest binds. */
export interface Action {
  readonly id: string;
  /** Transition name, or `onEnter:<state>`. */
  readonly transition: string;
  readonly tool: string | null;
  readonly tier: Tier | null;
  readonly arguments: JsonObject;
  readonly requester: Principal | null;
  /** By which list of values `digest` was made: a later list never changes what was approved under this one. */
  readonly recipe: 1;
  readonly digest: string;
  /** What an approval of it binds besides. */
  readonly bound: Bound;
  /** How often this run has done exactly this successfully before. */
  readonly n: number;
  readonly idempotencyKey: string;
  readonly stay: number;
  readonly requestedAt: string;
  readonly approval: string | null;
  /** Arrival whose answer waits for this action's outcome; null when nobody waits. */
  readonly messageId: string | null;
  readonly refs: readonly PayloadRef[];
}

/** Digests, as of the moment when the approval was asked for; nothing where nobody was asked. */
export interface Bound {
  /** Of what the call's connections stand for; null: it uses none. */
  readonly connections: string | null;
  /** Of what the call reads of the run besides its arguments, by path. */
  readonly reads: Readonly<Record<string, string>>;
  /** Of what the approver is given: summary, consequence, preview. */
  readonly shown: string | null;
}

export interface ApprovalState {
  readonly id: string;
  readonly action: Action;
  readonly status: ApprovalStatus;
  readonly gate: Gate;
  /** Gate's roles, or its queue's, resolved when it opened. Empty: permission `approval.decide`. */
  readonly roles: readonly string[];
  readonly decisions: readonly {
    readonly id: string;
    readonly by: Who;
    readonly roles: readonly string[];
    readonly decision: 'approve' | 'deny';
    readonly at: string;
  }[];
  /** Epoch milliseconds: when its present stage ends. */
  readonly expiresAt: number;
  /** Epoch milliseconds, rising: when its approvers are reminded. */
  readonly reminders?: readonly number[];
  /** Epoch milliseconds: it ends then, denied, whatever its stages say. */
  readonly endsAt?: number;
  /** How often it has been escalated. */
  readonly stage?: number;
  /** Who may not decide besides the requesters, and why. */
  readonly excluded?: readonly Excluded[];
  /** Which rules asked for it, with what they read. */
  readonly asked?: readonly Asked[];
  /** true: the transition's executor is `human`, so nothing else runs. */
  readonly human: boolean;
  /** Who asked for it, and who had it asked again; none of them may decide where the requester may not. */
  readonly requesters: readonly string[];
  /** Decided while another step was executing: what was approved starts, and where a denial leads the run moves, when that one has settled. */
  readonly queued: boolean;
  /** true: it is about doing an effect again whose outcome is unknown; the run stays stuck until it runs. */
  readonly repeats?: true;
  /** Guards as they passed when it parked, for the approver. */
  readonly guards: readonly GuardReport[];
}

export interface Excluded {
  readonly id: string;
  readonly why: 'author' | 'promoter' | 'approver';
}

export interface Asked {
  readonly source: GateSource;
  /** JSON pointer segments in the flow's document; null: the rule is written elsewhere. */
  readonly path: readonly (string | number)[] | null;
  readonly rule: string;
  /** `amount 60,000 > 50,000`; null: it always applies. */
  readonly reason: string | null;
}

export interface Problem {
  readonly code: ProblemCode | ErrorCode;
  readonly message: string;
  readonly errorClass?: ErrorClass;
}

/** Everything a run is, between steps. Plain JSON; the kernel keeps it, the projection stores it. */
export interface RunState {
  readonly v: 1;
  readonly run: string;
  readonly environment: string;
  readonly mode: 'live' | 'shadow';
  readonly traceId: string;
  readonly planHash: string;
  readonly startedBy: Who;
  readonly input: JsonObject;
  readonly status: RunStatus;
  readonly state: string;
  readonly version: number;
  /** Rises when the run enters a state from another one. */
  readonly stay: number;
  readonly context: JsonObject;
  readonly evidence: readonly Evidence[];
  readonly approvals: readonly ApprovalState[];
  /** `<transition>:<digest of arguments>` and how often it succeeded. */
  readonly successes: readonly (readonly [string, number])[];
  /** By transition: how often it was denied, and the last time, with the key of exactly what was asked. */
  readonly denials: readonly {
    readonly transition: string;
    readonly what: string;
    readonly by: string;
    readonly at: string;
    readonly count: number;
  }[];
  readonly executing: Executing | null;
  readonly problem: Problem | null;
  /** What to do again on retry of a stuck run. */
  readonly stuckOn: StuckOn | null;
  readonly chainDepth: number;
  readonly chain: readonly { readonly transition: string; readonly from: string; readonly to: string }[];
  readonly cancelRequested: { readonly by: Principal; readonly messageId: string } | null;
  /** Epoch milliseconds of the run's own deadline; null without one. */
  readonly deadline: number | null;
  readonly timeoutDue: boolean;
  /** The run left its last state because its time was up: a terminal state then closes it `timed_out`. */
  readonly viaTimeout: boolean;
  /** Whose submit waits until the run has settled. */
  readonly waitingAnswer: {
    readonly messageId: string;
    readonly transition: string;
    readonly action: string;
  } | null;
}

export interface Executing {
  readonly action: Action;
  readonly executor: Executor;
  readonly reliability: Reliability;
  readonly at: 'transition' | 'onEnter';
}

export type StuckOn =
  | { readonly kind: 'onEnter' }
  | { readonly kind: 'chain' }
  | { readonly kind: 'action'; readonly action: Action };

export interface ChainStep {
  readonly transition: string;
  readonly from: string;
  readonly to: string;
}

export interface GuardReport {
  readonly index: number;
  readonly kind: string;
  readonly verdict: 'pass' | 'fail' | 'error';
  readonly reason: string;
}

/** What a run answers to a message; the client hands it on. */
export type Answer =
  | {
      readonly status: 'executed';
      readonly transition: string;
      readonly action: string;
      readonly chain: readonly ChainStep[];
    }
  | {
      readonly status: 'pending';
      readonly transition: string;
      readonly action: string;
      readonly approval: string;
    }
  | { readonly status: 'accepted' }
  | Refusal;

export interface Refusal {
  readonly status: 'refused';
  readonly code: ErrorCode;
  readonly message: string;
  readonly guard?: GuardReport;
  readonly rule?: string;
  readonly why?: string;
  readonly errorClass?: ErrorClass;
  readonly errors?: readonly { readonly pointer: string; readonly message: string }[];
  readonly action?: string;
}

// --- decide(plan, state, event, kit) -------------------------------------------------------------

export type Event =
  | {
      readonly kind: 'message';
      readonly time: string;
      readonly message: Message;
      /** How the approval that it decides ended, where that has left the run's document. */
      readonly settledAs?: ApprovalStatus | null;
    }
  | {
      readonly kind: 'refused_message';
      readonly time: string;
      readonly reason: MessageRefusal;
      readonly name: string;
      /** What the bell named; null: it named nothing. */
      readonly message: { readonly id: string; readonly digest: string } | null;
    }
  | { readonly kind: 'outcome'; readonly time: string; readonly action: string; readonly result: Outcome }
  | { readonly kind: 'deadline'; readonly time: string; readonly approval: string }
  | { readonly kind: 'timeout'; readonly time: string };

export type Outcome =
  | {
      readonly status: 'succeeded';
      readonly output: Json;
      readonly response: Json;
      readonly evidence: readonly string[];
      readonly attempt: number;
      readonly outputRef: PayloadRef | null;
    }
  | {
      readonly status: 'failed';
      readonly errorClass: ErrorClass;
      readonly message: string;
      readonly attempt: number;
      /** Nothing was called: what would have run is not what was approved. */
      readonly code?: 'DIGEST_MISMATCH';
    }
  | { readonly status: 'unknown'; readonly message: string; readonly attempt: number };

export type Effect =
  | { readonly kind: 'execute'; readonly executing: Executing }
  | { readonly kind: 'arm'; readonly approval: string; readonly at: number }
  | { readonly kind: 'disarm'; readonly approval: string }
  | { readonly kind: 'arm_run'; readonly at: number }
  | { readonly kind: 'answer'; readonly messageId: string; readonly answer: Answer }
  | { readonly kind: 'close'; readonly status: RunStatus };

export interface Decision {
  readonly state: RunState;
  readonly effects: readonly Effect[];
  readonly trace: readonly Fact[];
  /** Rows to project: actions whose status changed. */
  readonly actions: readonly {
    readonly action: Action;
    readonly status: ActionStatus;
    readonly error: Problem | null;
    readonly outputRef: PayloadRef | null;
    /** With the action that opens an approval: what the approver gets, which `bound.shown` is the digest of. */
    readonly shown?: Shown;
  }[];
}

/** What an approver reads and then decides about. */
export interface Shown {
  readonly summary: string;
  readonly consequence: string;
  readonly preview: Json;
}

/** A request that waits for an approval, as its sentences and its preview are made. */
export interface Asking {
  readonly arguments: JsonObject;
  readonly context: JsonObject;
  readonly input: JsonObject;
  readonly requester: Principal | null;
  /** The last time that a person said no to this transition in this run; null: nobody has. */
  readonly denied: Denied | null;
}

export interface Denied {
  readonly by: string;
  readonly at: string;
  /** How often by now. */
  readonly count: number;
  /** It had the same arguments. */
  readonly same: boolean;
}

/** What the engine may not make itself: hashing, schema validation, and the run's environment. */
export interface Kit {
  /** `sha256:<hex>` of the canonical form. */
  digest(value: Json): string;
  validate(
    schema: JsonObject,
    value: JsonObject,
  ):
    | { readonly status: 'valid'; readonly value: JsonObject }
    | {
        readonly status: 'invalid';
        readonly errors: readonly { readonly pointer: string; readonly message: string }[];
      };
  /** Roles of a queue; empty when there are none. */
  queueRoles(queue: string): readonly string[];
  /** The environment's default gate deadline, milliseconds. */
  readonly gateTimeoutMs: number;
  /** What the environment asks for, whatever the author wrote. */
  readonly floors: readonly Floor[];
  /** Who wrote the run's flow version, and who brought it into this environment; null: no person of ours. */
  readonly author: string | null;
  readonly promoter: string | null;
  /** When so many milliseconds of the roles' business hours are over: the latest of them. Epoch milliseconds. */
  businessEnd(from: number, ms: number, roles: readonly string[]): number;
  /** Digest of what the connection's name stands for in this environment; null: it has none. */
  connection(name: string): string | null;
  /** What the approver of this transition gets; made once, when the approval opens. */
  show(transition: Transition, asking: Asking): Shown;
}

/** What the approver needs, fixed when the approval opens; free text and arguments are payloads. */
export interface ApprovalDoc {
  readonly tier: Tier | null;
  readonly tool: string | null;
  readonly flowVersion: number;
  readonly summary: string;
  readonly requestedBy: Who;
  readonly argumentsRef: PayloadRef | null;
  readonly preview: Json;
  readonly refs: readonly PayloadRef[];
  readonly guards: readonly GuardReport[];
  readonly because: readonly string[];
  readonly asked?: readonly Asked[];
  readonly quorum: { readonly count: number };
  readonly separation: Gate['separation'];
  readonly reasonRule: 'required' | 'optional';
  readonly onTimeout: string;
  readonly consequence: string;
}

/** One legal next step for one principal. */
export interface Link {
  readonly rel: string;
  readonly title: string;
  readonly method: 'POST';
  readonly href: string;
  readonly actor: string;
  readonly tier: Tier | null;
  readonly gated: boolean;
  readonly gateOn?: string;
  readonly inputSchema: JsonObject;
  readonly prefill?: JsonObject;
  readonly expectedVersion: number;
}
