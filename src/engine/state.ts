import type { Until } from './run/stuck/way-on.js';
import type { ApprovalStatus } from '../model/approval-status.js';
import type { ErrorClass, ErrorCode, ProblemCode } from '../model/contract/errors.js';
import type { Json, JsonObject } from '../model/values/json.js';
import type { Message, MessageRefusal } from '../model/message.js';
import type { Principal } from '../model/principal.js';
import type { Fact, PayloadRef, RecordActor } from '../model/records.js';
import type { Action, ApprovalState, Asked, Evidence, Who } from './effects/action-state.js';
import type { CallExecutor, Executor, Floor, GateSource, Reliability, Tier, Transition } from './plan.js';

export { busyText, endingOf, endingText } from './run/ending/engaged.js';

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

/** The problem of a stuck run, with what a person can do about it. */
export interface ShownProblem extends Problem {
  readonly next?: string;
}

/** The last denial of a request: `what` names the transition and the digest of its arguments, `count` says how often the transition had been denied by then. */
interface Denial {
  /** Named as in its idempotency key. */
  readonly transition: string;
  readonly what: string;
  readonly by: string;
  readonly at: string;
  readonly count: number;
}

/** Everything that a run is between two steps. Plain JSON: the kernel keeps it, the projection stores it. */
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
  /** Whose message led to the state of the run, without rights: the requester of what the runtime starts there. Absent: who started the run. */
  readonly ledBy?: Principal;
  /** Ids of those whose denial led to the state, or who had the run go on by a retry: what the runtime asks for there counts them as requesters. Absent: nobody. */
  readonly ledWith?: readonly string[];
  /** `<transition, named as in its idempotency key>:<digest of arguments>` and how often it succeeded. */
  readonly successes: readonly (readonly [string, number])[];
  /** Idempotency keys of effects that may have happened, which nobody knows; absent: none. */
  readonly doubts?: readonly string[];
  readonly denials: readonly Denial[];
  readonly executing: Executing | null;
  readonly problem: Problem | null;
  /** What to do again on retry of a stuck run. */
  readonly stuckOn: StuckOn | null;
  /** Names the problem that the run is stuck on, or was last: no other problem has the same. Absent: it was never stuck, or was before this was kept. */
  readonly stuckAt?: string;
  readonly chainDepth: number;
  readonly chain: readonly { readonly transition: string; readonly from: string; readonly to: string }[];
  readonly cancelRequested: { readonly by: Principal; readonly messageId: string } | null;
  /** Epoch milliseconds of the run's own deadline; null without one. */
  readonly deadline: number | null;
  readonly timeoutDue: boolean;
  /** The run's time is up, and a person has yet to say what became of the effect that it is stuck on. Absent: no. */
  readonly overdue?: true;
  /** The run came to its state because its time was up: where that is terminal it ends `timed_out`. */
  readonly viaTimeout: boolean;
  /** The submit that is answered once the run has settled. */
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
  /** `unknown`: nobody knows whether its effect has happened; `again`: the key and count with which it is sent again. */
  | {
      readonly kind: 'onEnter';
      readonly unknown?: true;
      readonly again?: Pick<Action, 'idempotencyKey' | 'n'>;
      readonly until?: Until;
    }
  | { readonly kind: 'chain'; readonly until?: Until }
  /** The step has happened, and the context cannot keep what it writes: there is nothing to do again. */
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
      /** The status with which the approval ended that the message decides, where the run's document no longer holds it. */
      readonly settledAs?: ApprovalStatus | null;
    }
  | {
      readonly kind: 'refused_message';
      readonly time: string;
      readonly reason: MessageRefusal;
      readonly name: string;
      /** The message that the bell named; null: it named none. */
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
      /** The effect may have happened, by this attempt or an earlier one: whoever is asked to approve it again is told. */
      readonly effectPossible?: true;
      /** Present where nothing was called: what would have run is not what was approved, or may not run any more. */
      readonly code?: 'DIGEST_MISMATCH' | 'GUARD_REJECTED';
    }
  | { readonly status: 'unknown'; readonly message: string; readonly attempt: number };

export type Effect =
  | { readonly kind: 'execute'; readonly executing: Executing }
  | { readonly kind: 'answer'; readonly messageId: string; readonly answer: Answer }
  | { readonly kind: 'close'; readonly status: ClosedStatus };

/** What one event does to a run. */
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
    /** Of an action that opens an approval: what the approver is shown; `bound.shown` is its digest. */
    readonly shown?: Shown;
  }[];
  /** What our own code threw, or the plan, run or event that it could not read: nothing was decided. Absent: the event was decided. */
  readonly failure?: Error;
}

/** What an approver reads and then decides about. */
export interface Shown {
  readonly summary: string;
  readonly consequence: string;
  readonly preview: Json;
  /** Why nobody can be asked: the calls are larger than what may be shown and sent, or none of them can be made. */
  readonly refused?: Pick<Refusal, 'code' | 'message'>;
}

/** What the sentences and the preview of an approval are made of. */
export interface Asking {
  readonly arguments: JsonObject;
  readonly context: JsonObject;
  readonly input: JsonObject;
  readonly requester: Principal | null;
  /** The last time that a person said no to this transition in this run; null: nobody has. */
  readonly denied: Denied | null;
  /** Who has an effect repeated whose outcome is unknown; null: the effect was not begun before. */
  readonly repeatedBy: string | null;
  /** The effect may have happened already, and nobody knows. */
  readonly inDoubt: boolean;
  /** How often the run has done this transition with these arguments, successfully. */
  readonly done: number;
}

export interface Denied {
  readonly by: string;
  readonly at: string;
  /** How often the transition has been denied by now, with whatever arguments. */
  readonly count: number;
  /** The request that was denied had the same arguments; null: the last ones had others, and those before are not remembered. */
  readonly same: boolean | null;
}

/** What the engine is given, since it is pure: hashing, schema validation, and the run's environment. */
export interface Kit {
  /** What the connections stand for is not known here, and counts as unchanged since an approval opened. Absent: it is known. */
  readonly trustsConnections?: true;
  /** `sha256:<hex>` of the canonical form. */
  digest(value: Json): string;
  /**
   * `beside`: another schema that the value must fit too; the defaults of both are filled in. `isKept`: the value is kept with
   * its defaults, so that these are bounded; true if left out.
   */
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
        /** Which schema refuses. `filled`: the first, with the defaults that `beside` fills in, which may be the cause or not. */
        readonly refusing?: 'schema' | 'beside' | 'filled';
      };
  /**
   * Roles of a queue. Empty: no queues are declared and this one never was, so that its name is only a label. Null: it was
   * declared once, or others are declared and it is not: nobody decides in it.
   */
  queueRoles(queue: string): readonly string[] | null;
  /** The environment's default gate deadline, milliseconds. */
  readonly gateTimeoutMs: number;
  /** What the environment asks for, whatever the author wrote. Null: nothing is known of the environment, and nothing is called there. */
  readonly floors: readonly Floor[] | null;
  /** Who wrote the run's flow version, and who brought it into this environment; null: no person that we know. */
  readonly author: string | null;
  readonly promoter: string | null;
  /** Epoch milliseconds at which `ms` milliseconds of business hours have passed since `from` for each of the roles: the latest. */
  businessEnd(from: number, ms: number, roles: readonly string[]): number;
  /** Can the kind of executor tell that this call only reads, whatever its author says? */
  isRead(executor: CallExecutor): boolean;
  /** Digest of what the connection's name stands for in this environment; null: it has none. */
  connection(name: string): string | null;
  /** The same caller with the rights that it has now; `at`: when it asked. */
  rightsNow(asked: Principal, at: string): Principal;
  /** Why none of the calls of this step, its own and its fallbacks, can be sent, since each is larger than what may be; null: one can. */
  whyTooLarge(
    step: Pick<Executing, 'executor' | 'reliability' | 'at'> & { readonly action: Pick<Action, 'tier'> },
    scopes: Pick<Asking, 'arguments' | 'context' | 'input'>,
  ): string | null;
  /** Can one of the calls of this step be made of these values? Where none can, a retry with the same values makes none either. */
  canBeMade(...step: Parameters<Kit['whyTooLarge']>): boolean;
  /** What the approver of this transition is shown; made once, when the approval opens. */
  show(transition: Transition, asking: Asking): Shown;
}

/** What the approver needs, fixed when the approval opens; free text, arguments and the preview are payloads. */
export interface ApprovalDoc {
  readonly tier: Tier | null;
  readonly tool: string | null;
  readonly flowVersion: number;
  readonly summary: string;
  readonly requestedBy: Who;
  readonly argumentsRef: PayloadRef | null;
  /** Absent: an earlier build opened the approval, and wrote `preview` instead. */
  readonly previewRef?: PayloadRef;
  readonly preview?: Json;
  readonly refs: readonly PayloadRef[];
  readonly guards: readonly GuardReport[];
  readonly asked: readonly Asked[];
  /** The state of the run in which the approval was asked for. */
  readonly state: string;
  /** Ids of all who asked for the action, when the approval opened. */
  readonly requesters: readonly string[];
  /** As they were when the approval opened. */
  readonly gates: readonly GateView[];
  readonly consequence: string;
}

/** A gate of an approval, as an approver sees it. */
export interface GateView {
  readonly source: GateSource;
  readonly rule: string;
  readonly roles: readonly string[];
  /** Whoever holds `approval.decide` decides too. Without roles and without this, nobody decides. */
  readonly byPermission: boolean;
  readonly quorum: {
    readonly count: number;
    readonly approved: number;
    readonly perRole?: readonly RoleShare[];
  };
  /** Whom the gate waits for: so many people with one of these roles; without roles, with the permission `approval.decide`. */
  readonly missing: readonly Missing[];
  /** ISO 8601: when the present stage ends, or the run's own time, which denies; the earlier. */
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

/** A legal next step of a run for one principal. */
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
