import { z } from 'zod';
import { json, jsonObject, named } from './api.js';
import { run, who } from './api-answers.js';
import { deliveryStatuses, notificationEvents } from './notifications.js';

// Answers around approvals: saved inboxes, absences, batches and measures.

const text = z.string();
const textOrNull = z.string().nullable();
const count = z.int().nonnegative();

const decisionFields = { decision: z.enum(['approve', 'deny']), by: who, reason: textOrNull, at: text };

const delivery = z.strictObject({
  status: z.enum(deliveryStatuses),
  channels: z.array(
    z.strictObject({
      message: text,
      channel: text,
      event: z.enum(notificationEvents),
      status: z.enum(['waiting', 'retrying', 'delivered', 'failed', 'superseded']),
      attempts: count,
      at: textOrNull,
      nextAt: text.optional(),
      detail: text.optional(),
    }),
  ),
});

const quorum = z.strictObject({
  count,
  approved: count,
  perRole: z.array(z.strictObject({ role: text, count, approved: count })).optional(),
});

/** One of the gates that an approval waits at: all of them must be approved. */
const gate = z.strictObject({
  source: text,
  rule: text,
  roles: z.array(text),
  quorum,
  /** Whom it waits for: so many people with one of these roles; without roles, holders of `approval.decide`. */
  missing: z.array(z.strictObject({ roles: z.array(text), count })),
  expiresAt: text,
  onTimeout: z.enum(['deny', 'escalate', 'approve']),
  reasonRequired: z.boolean(),
  /** All people who are known here could not approve it together. */
  outOfReach: z.boolean(),
  text,
});

/** What the reader may do about it now. */
const may = z.strictObject({
  decide: z.boolean(),
  verbs: z.array(z.enum(['approve', 'deny'])),
  why: textOrNull,
  message: textOrNull,
});

export const approval = named(
  'Approval',
  z.strictObject({
    id: text,
    status: text,
    run: text,
    action: text,
    flow: text,
    flowVersion: count,
    environment: text,
    state: text,
    transition: text,
    tool: textOrNull,
    tier: textOrNull,
    summary: text,
    arguments: jsonObject,
    preview: json,
    digest: text,
    requestedBy: who,
    requestedAt: text,
    reason: textOrNull,
    reasonRequired: z.boolean(),
    trace: json,
    guards: z.array(jsonObject),
    roles: z.array(text),
    quorum,
    gates: z.array(gate),
    may: may.optional(),
    decisions: z.array(z.strictObject({ id: text, ...decisionFields, status: text, code: text.optional() })),
    expiresAt: textOrNull,
    onTimeout: text,
    consequence: text,
    /** Each rule that asks for this approval: where it stands, what its condition read, and both in words. */
    because: z.array(
      z.strictObject({ source: text, rule: text, read: textOrNull, line: count.optional(), text }),
    ),
    /** What happens when nobody decides. */
    onExpiry: text,
    /** All who asked for exactly this. */
    requesters: z.array(text),
    escalatedAt: textOrNull,
    closedAt: textOrNull,
    /** Whether those who are to be told of it were. */
    delivery,
    claims: z.array(z.strictObject({ by: text, since: text, until: text })),
    delegations: z.array(z.strictObject({ from: text, to: text, note: textOrNull, at: text })),
    /** In `mine`: absent people who could decide it, and whose delegate the caller is. */
    onBehalfOf: z.array(text).optional(),
  }),
);
export const decided = named(
  'Decided',
  z.union([
    z.strictObject({ approval, run }),
    z.strictObject({ decision: z.strictObject({ id: text, href: text, status: z.literal('accepted') }) }),
  ]),
);
export const decision = named(
  'Decision',
  z.strictObject({
    id: text,
    approval: text,
    ...decisionFields,
    status: z.enum(['accepted', 'applied', 'refused']),
    code: text.optional(),
  }),
);

export const savedView = named(
  'SavedView',
  z.strictObject({ name: text, query: jsonObject, href: text, updatedAt: text }),
);
export const savedViews = named('SavedViews', z.strictObject({ data: z.array(savedView) }));
export const absence = named(
  'Absence',
  z.strictObject({ principal: text, from: text, until: text, delegate: text, setAt: text }),
);
export const batch = named(
  'BatchResult',
  z.strictObject({
    dryRun: z.boolean(),
    mode: z.enum(['all', 'each']),
    /** Every one of them would be, or was, taken. */
    ok: z.boolean(),
    token: text.optional(),
    expiresAt: text.optional(),
    results: z.array(
      z.strictObject({
        approval: text,
        decision: z.enum(['approve', 'deny']),
        /** `not_made`: in mode `all`, another of the batch is refused. */
        status: z.enum(['would_apply', 'applied', 'accepted', 'refused', 'not_made']),
        code: text.optional(),
        detail: text.optional(),
        decidedBy: who.optional(),
        decidedAt: textOrNull.optional(),
        summary: text.optional(),
        consequence: text.optional(),
        tier: textOrNull.optional(),
      }),
    ),
  }),
);
const seconds = z.number().nullable();
const times = z.strictObject({ count, p50: seconds, p90: seconds, p99: seconds });
const measures = {
  opened: count,
  approved: count,
  denied: count,
  expired: count,
  revoked: count,
  escalated: count,
  breachRate: seconds,
  escalationRate: seconds,
  firstViewSeconds: times,
  decisionSeconds: times,
  decidedByHumans: count,
  underFiveSeconds: seconds,
  underFiveSecondsOfView: seconds,
  decidedUnread: seconds,
};
export const approvalStats = named(
  'ApprovalStats',
  z.strictObject({
    from: text,
    to: text,
    total: z.strictObject(measures),
    byFlow: z.array(z.strictObject({ flow: text, ...measures })),
    byRole: z.array(z.strictObject({ role: textOrNull, ...measures })),
    open: z.array(z.strictObject({ age: text, count })),
  }),
);
