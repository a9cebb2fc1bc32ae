import { z } from 'zod';
import { json, jsonObject, nameSchema } from './api.js';
import { decisionFields, unreadable, who } from './decision-answer.js';
import { principalKinds } from '../principal.js';

// Answers of the REST contract, for OpenAPI and for the tests that hold the API to it.

const text = z.string();
const textOrNull = z.string().nullable();
const count = z.int().nonnegative();

export const problem = nameSchema(
  'Problem',
  z.looseObject({
    type: text,
    title: text,
    status: z.int(),
    detail: text,
    code: text,
    traceId: text,
    errors: z.array(z.looseObject({ message: text })).optional(),
    links: z.array(jsonObject).optional(),
  }),
);

export function pageOf<S extends z.ZodType>(item: S) {
  return z.strictObject({ data: z.array(item), nextCursor: textOrNull });
}

const flowProblem = nameSchema(
  'FlowProblem',
  z.strictObject({
    code: text,
    path: text,
    file: text.optional(),
    line: count,
    column: count,
    message: text,
    suggestion: text.optional(),
    acknowledged: text.optional(),
  }),
);

export const published = nameSchema(
  'Published',
  z.strictObject({
    name: text,
    version: count,
    hash: text,
    environment: text,
    warnings: z.array(flowProblem),
  }),
);
export const checked = nameSchema(
  'Checked',
  z.strictObject({ valid: z.boolean(), errors: z.array(flowProblem), warnings: z.array(flowProblem) }),
);
/** Who stopped new runs of the flow, when and why; null: new runs can start. */
const withdrawn = z
  .strictObject({ by: text, at: text, reason: textOrNull, unreadable: unreadable('reason') })
  .nullable();

export const flowSummary = nameSchema(
  'FlowSummary',
  z.strictObject({
    name: text,
    owner: textOrNull,
    description: textOrNull,
    version: count,
    hash: text,
    environment: text,
    publishedAt: text,
    withdrawn,
  }),
);
export const flow = nameSchema(
  'Flow',
  z.strictObject({
    name: text,
    owner: textOrNull,
    description: textOrNull,
    withdrawn,
    versions: z.array(
      z.strictObject({
        version: count,
        hash: text,
        environments: z.array(text),
        publishedAt: text,
        publishedBy: text,
      }),
    ),
  }),
);
export const flowVersion = nameSchema(
  'FlowVersion',
  z.strictObject({
    name: text,
    version: count,
    hash: text,
    planHash: text,
    environment: text,
    owner: textOrNull,
    description: textOrNull,
    publishedAt: text,
    publishedBy: text,
    withdrawn,
    warnings: z.array(flowProblem),
    source: text,
    definition: jsonObject,
    plan: jsonObject,
    graph: z.strictObject({ nodes: z.array(jsonObject), edges: z.array(jsonObject) }),
  }),
);
export const flowDiff = nameSchema(
  'FlowDiff',
  z.strictObject({
    name: text,
    from: count,
    to: count,
    structural: z.array(z.strictObject({ change: text, what: text, path: text, from: json, to: json })),
    permissions: z.array(z.strictObject({ effect: z.enum(['wider', 'narrower', 'other']), sentence: text })),
    more: z.strictObject({ structural: count, permissions: count }),
  }),
);
const removed = z.strictObject({ kind: text, name: text, confirm: z.boolean() });

export const reloaded = nameSchema(
  'Reloaded',
  z.strictObject({
    changed: z.boolean(),
    policySet: text,
    flows: z.array(
      z.strictObject({ name: text, version: count, change: z.enum(['published', 'unchanged']) }),
    ),
    removed: z.array(removed),
    withdrawn: z.array(z.strictObject({ name: text, environment: text, reason: text })),
    warnings: z.array(flowProblem),
  }),
);

const problemOfRun = z.strictObject({ code: text, message: text, errorClass: text.optional() });

const endingWhy = z.enum(['cancel', 'timeout']);
const ending = z.strictObject({ why: endingWhy, by: who.optional(), waitsFor: text, message: text });

export const run = nameSchema(
  'Run',
  z.strictObject({
    id: text,
    flow: text,
    flowVersion: count,
    planHash: text,
    environment: text,
    mode: z.enum(['live', 'shadow']),
    temporal: z.strictObject({ namespace: text, workflowId: text }),
    state: text,
    status: z.enum(['running', 'waiting', 'stuck', 'completed', 'cancelled', 'failed', 'timed_out']),
    version: count,
    traceId: text,
    startedBy: text,
    startedAt: text,
    updatedAt: text,
    /** `next`: which of retry and cancel helps, while the run is stuck. */
    problem: problemOfRun.extend({ next: text.optional() }).optional(),
    /** The run was cancelled, or its time is up, and it waits for the outcome of what is under way. Until then it has no links. */
    ending: ending.optional(),
  }),
);
const link = nameSchema(
  'Link',
  z.looseObject({ rel: text, title: text, method: text, href: text, actor: text }),
);
const runFields = {
  run,
  context: jsonObject,
  evidence: z.array(z.strictObject({ kind: text, id: text, at: text })),
  approvals: z.array(
    z.strictObject({ id: text, transition: text, status: text, roles: z.array(text), href: text }),
  ),
  links: z.array(link),
};
export const runBody = nameSchema(
  'RunBody',
  z.strictObject({
    ...runFields,
    /** Present while the run has not come to rest. */
    result: z.strictObject({ status: z.literal('executing'), poll: text }).optional(),
  }),
);
export const submitted = nameSchema(
  'Submitted',
  z.strictObject({
    result: z.discriminatedUnion('status', [
      z.strictObject({ status: z.literal('executed'), transition: text, output: json }),
      z.strictObject({
        status: z.literal('pending'),
        transition: text,
        approval: z.strictObject({
          id: text,
          href: text,
          digest: text,
          roles: z.array(text),
          expiresAt: text,
        }),
        poll: text,
      }),
      z.strictObject({ status: z.literal('executing'), transition: text, poll: text }),
    ]),
    ...runFields,
    chain: z.array(z.strictObject({ transition: text, from: text, to: text })).optional(),
  }),
);

export const action = nameSchema(
  'Action',
  z.strictObject({
    id: text,
    status: text,
    run: text,
    transition: text,
    tool: text.optional(),
    approval: text.optional(),
    /** Why it was denied, as the approver wrote it, or that it was not decided in time. */
    reason: textOrNull.optional(),
    decisions: z.array(z.strictObject(decisionFields)).optional(),
    output: json.optional(),
    unreadable: unreadable('reason', 'output'),
    error: problemOfRun.optional(),
    /** Present while the action executes. False: it waits for its next attempt, for its turn, or for a worker. */
    callUnderWay: z.boolean().optional(),
    /** A call was begun and its worker has gone silent: it may have happened, and waits to be made again, or to be taken for unknown. */
    callLost: z.literal(true).optional(),
    /** When the next attempt is due, while the action waits for it. */
    nextAttemptAt: text.optional(),
  }),
);

export const auditItem = nameSchema(
  'AuditItem',
  z.looseObject({
    index: count,
    chain: z.enum(['run', 'service']),
    id: text,
    type: text,
    hash: text,
    prev: textOrNull,
  }),
);
export const auditPage = nameSchema(
  'AuditPage',
  z.strictObject({ data: z.array(auditItem), nextCursor: textOrNull, asOfSize: count }),
);
const omittedValue = z.strictObject({ part: text, bytes: count, commit: text, payload: text });
export const reconstruction = nameSchema(
  'Reconstruction',
  z.strictObject({
    run: text,
    traceId: text,
    complete: z.boolean(),
    score: z.number(),
    /** How many values are only named, because the answer would be too large with them. */
    omitted: count.optional(),
    actions: z.array(
      z.looseObject({ transition: text, missing: z.array(text), omitted: z.array(omittedValue).optional() }),
    ),
  }),
);
export const history = nameSchema(
  'History',
  z.strictObject({ events: z.array(json), omitted: count.optional() }),
);
export const replayed = nameSchema(
  'Replayed',
  z.strictObject({
    ok: z.boolean(),
    checks: z.array(z.strictObject({ name: text, ok: z.boolean(), detail: text })),
  }),
);

const principalFields = {
  id: text,
  kind: z.enum(principalKinds),
  roles: z.array(text),
  permissions: z.array(text),
};
export const whoami = nameSchema('Whoami', z.strictObject({ ...principalFields, actedBy: text.optional() }));
const keyFields = { keyId: text, ...principalFields, expiresAt: textOrNull };
export const createdKey = nameSchema('CreatedKey', z.strictObject({ ...keyFields, key: text }));
export const key = nameSchema(
  'Key',
  z.strictObject({ ...keyFields, createdAt: text, createdBy: text, revokedAt: textOrNull }),
);

export const signingKey = nameSchema(
  'SigningKey',
  z.strictObject({
    keyId: text,
    algorithm: z.literal('ed25519'),
    publicKey: text,
    status: z.enum(['active', 'retiring', 'retired']),
    createdAt: text,
    retiredAt: textOrNull,
  }),
);
export const signingKeys = nameSchema('SigningKeys', z.strictObject({ data: z.array(signingKey) }));

export const webhookKey = nameSchema(
  'WebhookKey',
  z.strictObject({ algorithm: z.literal('ed25519'), key: text }),
);

export const live = nameSchema('Live', z.strictObject({ status: z.literal('ok') }));
export const ready = nameSchema(
  'Ready',
  z.strictObject({
    api: z.boolean(),
    postgres: z.boolean(),
    temporal: z.boolean(),
    /** Every environment has a worker that reported within the last five seconds. */
    worker: z.boolean(),
    /** The environments without a worker; absent where all have one. */
    unserved: z.array(text).optional(),
    /** Faults that stop nothing: references of connections and channels that have no value. */
    warnings: z.array(text).optional(),
  }),
);
