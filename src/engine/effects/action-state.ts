import type { JsonObject } from '../../model/values/json.js';
import type { Principal, PrincipalKind } from '../../model/principal.js';
import type { PayloadRef } from '../../model/records.js';
import type { Gate, GateSource, Tier } from '../plan.js';
import type { ApprovalStatus, GuardReport } from '../state.js';

// What a run's state holds of an intended effect, and of the approval that it waits for.

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

/** An intended effect: what the digest binds. */
export interface Action {
  readonly id: string;
  /** Transition name, or `onEnter:<state>`. */
  readonly transition: string;
  readonly tool: string | null;
  readonly tier: Tier | null;
  readonly arguments: JsonObject;
  /** Who asked; of a step that the runtime takes by itself: whose message led there. */
  readonly requester: Principal | null;
  /** The runtime takes the step by itself: guards and conditions are evaluated without a caller, and the runtime is the actor on record. */
  readonly byRuntime?: true;
  /** The version of the list of values that `digest` is made of: a later list never changes what was approved under this one. */
  readonly recipe: 1;
  readonly digest: string;
  /** What an approval binds besides the action itself. */
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

/** Digests as of the moment when the approval was asked for; `nothingBound` where nobody was asked. */
export interface Bound {
  /** Of what the call's connections stand for; null: the call uses none. */
  readonly connections: string | null;
  /** Of what the call reads of the run besides its arguments, by path. */
  readonly reads: Readonly<Record<string, string>>;
  /** Of what the approver is shown: summary, consequence, preview. */
  readonly shown: string | null;
}

/** A gate that an approval waits at: its rules, and how far it has come, independently of the other gates. */
export interface GateState {
  /** The rules of the gate, which the digest binds. */
  readonly rule: Gate;
  readonly source: GateSource;
  /** Who decides at the gate: from its rule or its queue, as the queue was when last looked at, with the roles that escalations added. */
  readonly roles: readonly string[];
  /** Whoever holds `approval.decide` decides too: neither gate nor queue named a role when the approval opened. */
  readonly byPermission: boolean;
  /** Roles that escalations added. */
  readonly added?: readonly string[];
  /** Epoch milliseconds: when the gate's present stage ends. */
  readonly expiresAt: number;
  /** Epoch milliseconds, rising: when the gate's approvers are reminded. */
  readonly reminders?: readonly number[];
  /** Epoch milliseconds: the approval ends then, denied, whatever the stages of this gate say. */
  readonly endsAt?: number;
  /** How often the gate has been escalated. */
  readonly stage?: number;
  /** Who, besides the requesters, may not decide at the gate, and why. */
  readonly excluded?: readonly Excluded[];
  /** ISO 8601: when the gate was approved because its time was up. */
  readonly byTime?: string;
}

export interface ApprovalDecision {
  readonly id: string;
  readonly by: Who;
  /** The roles that this person held, of those that decide at the approval's gates. */
  readonly roles: readonly string[];
  /** This person held `approval.decide`. */
  readonly permitted: boolean;
  /** Indexes of the gates at which this person could decide, and for which the decision counts. */
  readonly gates: readonly number[];
  readonly decision: 'approve' | 'deny';
  readonly at: string;
}

export interface ApprovalState {
  readonly id: string;
  readonly action: Action;
  readonly status: ApprovalStatus;
  /** The state of the run in which the approval was asked for. */
  readonly state: string;
  /** The approval is approved when each gate is, and ends with the first that denies. */
  readonly gates: readonly GateState[];
  /** Of all gates together. */
  readonly roles: readonly string[];
  readonly decisions: readonly ApprovalDecision[];
  /** Epoch milliseconds: the first end that denies, of a gate or of the run; where there is none, the first end of a stage. */
  readonly expiresAt: number;
  /** Epoch milliseconds: when the run's own time is up, which ends the approval. Absent: the run's time does not end it. */
  readonly runEndsAt?: number;
  /** Epoch milliseconds of the approval's only timer: the next reminder, or end of a stage, at any of its gates. */
  readonly timer: number;
  /** The rules that asked for the approval, with what they read. */
  readonly asked: readonly Asked[];
  /** true: the transition's executor is `human`, so nothing is called. */
  readonly human: boolean;
  /** Ids of who asked for the action, and of who had it asked for again; none of them may decide where the requester may not. */
  readonly requesters: readonly string[];
  /** Decided, and still to be acted on, once no other step executes: an approved action is to start, after a denial the run is to move to `onDeny`. */
  readonly queued: boolean;
  /** true: the approval is about repeating an effect whose outcome is unknown; the run stays stuck until the repeat starts. */
  readonly repeats?: true;
  /** Bytes of canonical JSON of the preview that approvers are shown; absent: the approval opened before that was counted. */
  readonly previewBytes?: number;
  /** Bytes of canonical JSON of the arguments; absent: as for `previewBytes`. */
  readonly argumentBytes?: number;
  /** Bytes of canonical JSON that the approval, without its arguments, took of the run's document when it opened; absent: as for `previewBytes`. */
  readonly documentBytes?: number;
  /** For the approver: the guards as they passed when the transition parked. */
  readonly guards: readonly GuardReport[];
}

export interface Excluded {
  readonly id: string;
  readonly why: 'author' | 'promoter' | 'approver';
}

export interface Asked {
  readonly source: GateSource;
  /** JSON pointer segments of the rule in the flow's document; null: the rule is written elsewhere. */
  readonly path: readonly (string | number)[] | null;
  readonly rule: string;
  /** `amount 60,000 > 50,000`; null: the rule always applies. */
  readonly reason: string | null;
}
