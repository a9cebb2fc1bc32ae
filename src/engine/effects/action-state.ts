import type { JsonObject } from '../../model/json.js';
import type { Principal, PrincipalKind } from '../../model/principal.js';
import type { PayloadRef } from '../../model/records.js';
import type { Gate, GateSource, Tier } from '../plan.js';
import type { ApprovalStatus, GuardReport } from '../state.js';

// What a run's state says of one intended effect, and of the approval that it waits for.

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
  /** Who asked; of a step that the runtime takes by itself, whose message led there. */
  readonly requester: Principal | null;
  /** The runtime takes it by itself: guards and conditions are asked as the runtime, and it is the actor on record. */
  readonly byRuntime?: true;
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

/** One of the gates that an approval waits at: its rules, and how it stands. Each keeps its own. */
export interface GateState {
  /** What the digest binds. */
  readonly rule: Gate;
  readonly source: GateSource;
  /** Who decides at it, as its queue was when that was asked last, with those whom escalations added. */
  readonly roles: readonly string[];
  /** Whoever holds `approval.decide` decides too: neither gate nor queue named a role when it opened. */
  readonly byPermission: boolean;
  /** Roles that escalations added. */
  readonly added?: readonly string[];
  /** Epoch milliseconds: when its present stage ends. */
  readonly expiresAt: number;
  /** Epoch milliseconds, rising: when its approvers are reminded. */
  readonly reminders?: readonly number[];
  /** Epoch milliseconds: the approval ends then, denied, whatever the stages of this gate say. */
  readonly endsAt?: number;
  /** How often it has been escalated. */
  readonly stage?: number;
  /** Who may not decide at it besides the requesters, and why. */
  readonly excluded?: readonly Excluded[];
  /** ISO 8601: when time approved it. */
  readonly byTime?: string;
}

export interface ApprovalDecision {
  readonly id: string;
  readonly by: Who;
  /** Of those that decide at its gates, the ones that this person held. */
  readonly roles: readonly string[];
  /** This person held `approval.decide`. */
  readonly permitted: boolean;
  /** Indexes of the gates at which this person could decide, and for which this counts. */
  readonly gates: readonly number[];
  readonly decision: 'approve' | 'deny';
  readonly at: string;
}

export interface ApprovalState {
  readonly id: string;
  readonly action: Action;
  readonly status: ApprovalStatus;
  /** Of the run, in which it was asked for. */
  readonly state: string;
  /** It is approved when each of them is, and ends with the first that denies. */
  readonly gates: readonly GateState[];
  /** Of all gates together. */
  readonly roles: readonly string[];
  readonly decisions: readonly ApprovalDecision[];
  /** Epoch milliseconds: the first end that denies, or the run's own; where no present stage does, the first end of a stage. */
  readonly expiresAt: number;
  /** Epoch milliseconds: when the run's own time is up, and that ends the approval. Absent: it does not. */
  readonly runEndsAt?: number;
  /** Epoch milliseconds: when time has something to say at one of its gates next. Its one timer goes then. */
  readonly timer: number;
  /** Which rules asked for it, with what they read. */
  readonly asked: readonly Asked[];
  /** true: the transition's executor is `human`, so nothing else runs. */
  readonly human: boolean;
  /** Who asked for it, and who had it asked again; none of them may decide where the requester may not. */
  readonly requesters: readonly string[];
  /** Decided while another step was executing: what was approved starts, and where a denial leads the run moves, when that one has settled. */
  readonly queued: boolean;
  /** true: it is about doing an effect again whose outcome is unknown; the run stays stuck until it runs. */
  readonly repeats?: true;
  /** Bytes of canonical JSON that its approvers are shown of its calls; absent: it opened before that was counted. */
  readonly previewBytes?: number;
  /** Bytes of canonical JSON of its arguments; absent: it opened before that was counted. */
  readonly argumentBytes?: number;
  /** Bytes of canonical JSON that it took of the run's document as it opened, its arguments left out; absent: it opened before that was counted. */
  readonly documentBytes?: number;
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
