import { z } from 'zod';
import { json, jsonObject, nameSchema } from './api.js';
import { run } from './api-answers.js';
import { decisionFields, unreadable, who } from './decision-answer.js';
import { deliveryStatuses, notificationEvents } from './notifications.js';

// Answers around approvals: saved inboxes, absences, batches, links and measures.

const text = z.string();
const textOrNull = z.string().nullable();
const count = z.int().nonnegative();

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

/** A gate at which an approval waits. All gates of an approval must be approved. */
const gate = z.strictObject({
  source: text,
  rule: text,
  roles: z.array(text),
  quorum,
  /** Whom the gate waits for: `count` people with one of `roles`, or, without roles, holders of `approval.decide`. */
  missing: z.array(z.strictObject({ roles: z.array(text), count })),
  expiresAt: text,
  onTimeout: z.enum(['deny', 'escalate', 'approve']),
  reasonRequired: z.boolean(),
  /** True: all people who are known here together could not approve it. */
  outOfReach: z.boolean(),
  text,
});

/** What the reader may do about the approval now. */
const may = z.strictObject({
  decide: z.boolean(),
  verbs: z.array(z.enum(['approve', 'deny'])),
  why: textOrNull,
  message: textOrNull,
});

export const approval = nameSchema(
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
    unreadable: unreadable('arguments', 'preview', 'trace'),
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
    /** The rules that ask for this approval: where each stands, what its condition read, and both in words. */
    because: z.array(
      z.strictObject({ source: text, rule: text, read: textOrNull, line: count.optional(), text }),
    ),
    /** What happens when nobody decides. */
    onExpiry: text,
    /** All who asked for exactly this. */
    requesters: z.array(text),
    escalatedAt: textOrNull,
    closedAt: textOrNull,
    /** Whether the people who should be told of the approval were told. */
    delivery,
    claims: z.array(z.strictObject({ by: text, since: text, until: text })),
    delegations: z.array(
      z.strictObject({ from: text, to: text, note: textOrNull, unreadable: unreadable('note'), at: text }),
    ),
    /** With `mine`: absent people who could decide the approval and whose delegate is the caller. */
    onBehalfOf: z.array(text).optional(),
  }),
);
export const decided = nameSchema(
  'Decided',
  z.union([
    z.strictObject({ approval, run }),
    z.strictObject({ decision: z.strictObject({ id: text, href: text, status: z.literal('accepted') }) }),
  ]),
);
export const decision = nameSchema(
  'Decision',
  z.strictObject({
    id: text,
    approval: text,
    ...decisionFields,
    status: z.enum(['accepted', 'applied', 'refused']),
    code: text.optional(),
  }),
);

export const savedView = nameSchema(
  'SavedView',
  z.strictObject({ name: text, query: jsonObject, href: text, updatedAt: text }),
);
export const savedViews = nameSchema('SavedViews', z.strictObject({ data: z.array(savedView) }));
export const absence = nameSchema(
  'Absence',
  z.strictObject({ principal: text, from: text, until: text, delegate: text, setAt: text }),
);
export const batch = nameSchema(
  'BatchResult',
  z.strictObject({
    dryRun: z.boolean(),
    mode: z.enum(['all', 'each']),
    /** True: every decision would be accepted (dry run), or was accepted. */
    ok: z.boolean(),
    token: text.optional(),
    expiresAt: text.optional(),
    results: z.array(
      z.strictObject({
        approval: text,
        decision: z.enum(['approve', 'deny']),
        /** `not_made`: another decision of the batch was refused, in mode `all`. */
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
export const approvalStats = nameSchema(
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

export const madeLink = nameSchema('MadeLink', z.strictObject({ id: text, path: text, expiresAt: text }));
export const approvalLinks = nameSchema(
  'ApprovalLinks',
  z.strictObject({
    data: z.array(
      z.strictObject({
        id: text,
        status: z.enum(['open', 'used', 'revoked', 'expired']),
        createdAt: text,
        expiresAt: text,
      }),
    ),
  }),
);
