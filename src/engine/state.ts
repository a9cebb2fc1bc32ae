import type { Until } from './run/way-on.js';
import type { ApprovalStatus } from '../model/approval-status.js';
import type { ErrorClass, ErrorCode, ProblemCode } from '../model/errors.js';
import type { Json, JsonObject } from '../model/json.js';
import type { Message, MessageRefusal } from '../model/message.js';
import type { Principal } from '../model/principal.js';
import type { Fact, PayloadRef, RecordActor } from '../model/records.js';
import type { Action, ApprovalState, Asked, Evidence, Who } from './effects/action-state.js';
import type { CallExecutor, Executor, Floor, GateSource, Reliability, Tier, Transition } from './plan.js';

export { busyText, endingOf, endingText } from './run/engaged.js';

export type ClosedStatus = 'completed' | 'cancelled' | 'failed' | 'timed_out';
export type RunStatus = 'running' | 'waiting' | 'stuck' | ClosedStatus;
export const closedStatuses: readonly RunStatus[] = ['completed', 'cancelled', 'failed', 'timed_out'];

export type { ApprovalStatus };
export type ActionStatus =
  'pending' | 'approved' | 'denied' | 'expired' | 'revoked' | 'executing' | 'executed' | 'failed' | 'unknown';

export type {
  Action,
  ApprovalDecision,
  ApprovalState,
  Asked,
  Bound,
  Evidence,
  Excluded,
  GateState,
} from './effects/action-state.js';

export interface Problem {
  readonly code: ProblemCode | ErrorCode;
  readonly message: string;
  readonly errorClass?: ErrorClass;
}

/** As it is shown of a run that is stuck: with what a person can do about it. */
export interface ShownProblem extends Problem {
  readonly next?: string;
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
  /** Everyone who has approved anything in this run, whatever became of it; absent: nobody. */
  readonly approvers?: readonly string[];
  /** Whose message led to where the run stands, without rights: who asks for what the runtime starts there. Absent: who started it. */
  readonly ledBy?: Principal;
  /** Ids of who denied what led there or had it gone on: they have a part in what the runtime asks for there. Absent: nobody. */
  readonly ledWith?: readonly string[];
  /** `<transition, named as in its idempotency key>:<digest of arguments>` and how often it succeeded. */
  readonly successes: readonly (readonly [string, number])[];
  /** Idempotency keys of what may have happened, and nobody knows; absent: none. */
  readonly doubts?: readonly string[];
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
  /** Names the problem that it is, or was last, stuck on: no other has the same. Absent: it was not, or before that was kept. */
  readonly stuckAt?: string;
  readonly chainDepth: number;
  readonly chain: readonly { readonly transition: string; readonly from: string; readonly to: string }[];
  readonly cancelRequested: { readonly by: Principal; readonly messageId: string } | null;
  /** Epoch milliseconds of the run's own deadline; null without one. */
  readonly deadline: number | null;
  readonly timeoutDue: boolean;
  /** Its time is up, and a person has yet to say what became of what it is stuck on. Absent: no. */
  readonly overdue?: true;
  /** The run came to its state because its time was up: where that is terminal it ends `timed_out`. */
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
  /** The run has not begun: its first step was given up. */
  | {
      readonly kind: 'start';
      readonly message: string;
      readonly by: RecordActor;
      readonly refs: readonly PayloadRef[];
      readonly flowVersion: number;
    }
  /** `unknown`: what became of its effect is; `again`: what it is sent with again. */
  | {
      readonly kind: 'onEnter';
      readonly unknown?: true;
      readonly again?: Pick<Action, 'idempotencyKey' | 'n'>;
      readonly until?: Until;
    }
  | { readonly kind: 'chain'; readonly until?: Until }
  /** It has happened, and the context cannot keep what it writes: nothing is left to be done again. */
  | { readonly kind: 'done'; readonly transition: string }
  | { readonly kind: 'action'; readonly action: Action };

interface ChainStep {
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
      /** Its effect may have happened, by this attempt or by one before: whoever is asked for it again is told. */
      readonly effectPossible?: true;
      /** Nothing was called: what would have run is not what was approved, or may not run any more. */
      readonly code?: 'DIGEST_MISMATCH' | 'GUARD_REJECTED';
    }
  | { readonly status: 'unknown'; readonly message: string; readonly attempt: number };

export type Effect =
  | { readonly kind: 'execute'; readonly executing: Executing }
  | { readonly kind: 'answer'; readonly messageId: string; readonly answer: Answer }
  | { readonly kind: 'close'; readonly status: ClosedStatus };

export interface EventResult {
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
  /** Why nothing was decided: what our own code threw, or found where no plan, run or event of its own was. Absent: it was decided. */
  readonly failure?: Error;
}

/** What an approver reads and then decides about. */
export interface Shown {
  readonly summary: string;
  readonly consequence: string;
  readonly preview: Json;
  /** Why nobody can be asked: its calls are larger than what is shown and sent, or none of them can be made. */
  readonly refused?: Pick<Refusal, 'code' | 'message'>;
}

/** A request that waits for an approval, as its sentences and its preview are made. */
export interface Asking {
  readonly arguments: JsonObject;
  readonly context: JsonObject;
  readonly input: JsonObject;
  readonly requester: Principal | null;
  /** The last time that a person said no to this transition in this run; null: nobody has. */
  readonly denied: Denied | null;
  /** Who has an effect done again whose outcome is unknown; null: it was not begun before. */
  readonly repeatedBy: string | null;
  /** It may have happened already, and nobody knows. */
  readonly inDoubt: boolean;
  /** How often the run has done this transition with these arguments, successfully. */
  readonly done: number;
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
  /** `beside`: another schema that the value must fit too, with the defaults of both. `isKept`: its defaults are, true if left out. */
  validate(
    schema: JsonObject,
    value: JsonObject,
    beside?: JsonObject,
    isKept?: boolean,
  ):
    | { readonly status: 'valid'; readonly value: JsonObject }
    | {
        readonly status: 'invalid';
        readonly errors: readonly { readonly pointer: string; readonly message: string }[];
        /** `filled`: the schema, with what the one beside it fills in. */
        readonly refusing?: 'schema' | 'beside' | 'filled';
      };
  /** Roles of a queue; empty: no queue is or was declared, and its name is a label. Null: it was, or others are. */
  queueRoles(queue: string): readonly string[] | null;
  /** The environment's default gate deadline, milliseconds. */
  readonly gateTimeoutMs: number;
  /** What the environment asks for, whatever the author wrote. Null: nothing is known of it, and nothing is called there. */
  readonly floors: readonly Floor[] | null;
  /** Who wrote the run's flow version, and who brought it into this environment; null: no person of ours. */
  readonly author: string | null;
  readonly promoter: string | null;
  /** When so many milliseconds of the roles' business hours are over: the latest of them. Epoch milliseconds. */
  businessEnd(from: number, ms: number, roles: readonly string[]): number;
  /** Is the call, as far as its kind can tell, a read whatever its author says? */
  isRead(executor: CallExecutor): boolean;
  /** Digest of what the connection's name stands for in this environment; null: it has none. */
  connection(name: string): string | null;
  /** The same caller with what it holds now, of what was asked at that time. */
  rightsNow(asked: Principal, at: string): Principal;
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
  readonly asked: readonly Asked[];
  /** Of the run, in which it was asked for. */
  readonly state: string;
  /** Ids of all who asked for it, as it opened. */
  readonly requesters: readonly string[];
  /** As they stood when it opened. */
  readonly gates: readonly GateView[];
  readonly consequence: string;
}

/** One gate of an approval, as an approver is told of it. */
export interface GateView {
  readonly source: GateSource;
  readonly rule: string;
  readonly roles: readonly string[];
  /** Whoever holds `approval.decide` decides too. Without roles and without this, nobody does. */
  readonly byPermission: boolean;
  readonly quorum: {
    readonly count: number;
    readonly approved: number;
    readonly perRole?: readonly RoleShare[];
  };
  /** Whom it waits for: so many people with one of these roles; without roles, whoever holds `approval.decide`. */
  readonly missing: readonly Missing[];
  /** ISO 8601: when its present stage ends, or the run's own time does, which denies. */
  readonly expiresAt: string;
  readonly onTimeout: 'deny' | 'escalate' | 'approve';
  readonly reasonRequired: boolean;
}

export interface RoleShare {
  readonly role: string;
  readonly count: number;
  readonly approved: number;
}

export interface Missing {
  readonly roles: readonly string[];
  readonly count: number;
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
