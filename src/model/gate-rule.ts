/** Who decides at a gate, and within what time. */
export interface GateRule {
  readonly roles: readonly string[];
  readonly queue: string | null;
  readonly quorum: {
    readonly count: number;
    /** Slots: each is filled by one person, who fills no other. */
    readonly perRole: readonly { readonly role: string; readonly count: number }[];
  };
  /** Who may not decide, where true. */
  readonly separation: Separation;
  readonly reason: 'required' | 'optional';
  /** `required`: the human decides here, and no service does on a human's behalf. Absent: optional. */
  readonly direct?: 'required';
  /** Null: the environment's default applies. */
  readonly timeout: GateTimeout | null;
  /** Fractions of each stage's time, rising, after which the approvers are reminded. */
  readonly reminders?: readonly number[];
}

interface Separation {
  readonly requester: boolean;
  readonly author: boolean;
  readonly promoter: boolean;
  /** Whoever has approved something in this run before. Absent: they may decide. */
  readonly approvers?: boolean;
}

/** A stage of a gate: what happens when nobody has decided in time; `then` is the stage that an escalation leads to. */
export interface GateTimeout {
  readonly afterMs: number;
  readonly action: 'deny' | 'escalate' | 'approve';
  /** Roles that an escalation adds. */
  readonly to: readonly string[];
  /** Epoch milliseconds: the stage ends then at the latest, however much of `afterMs` is left. */
  readonly atMs?: number;
  /** `business`: only the hours in which the gate's roles work count. Absent: all hours do. */
  readonly hours?: 'business';
  /**
   * Absent after an escalation: a last stage follows, which denies at its end. It takes the same time again, or the
   * environment's default where this stage has `atMs` only.
   */
  readonly then?: GateTimeout;
}
