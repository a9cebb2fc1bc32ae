import { z } from 'zod';
import type { Json, JsonObject } from '../model/json.js';

// The shape of every policy file. Unknown keys are errors everywhere; what a value means is compiled later.

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `200ms`, `30s`, `5m`, `2h`, `3d` to milliseconds. */
export function durationMs(text: string): number | null {
  const found = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  return found === null ? null : Number(found[1]) * units[found[2] as keyof typeof units];
}

const duration = z.string().refine((text) => durationMs(text) !== null, { error: 'is no duration: write `200ms`, `30s`, `5m`, `2h` or `3d`' }).transform((text) => durationMs(text) ?? 0);
const wholeMs = z.int().min(0).max(366 * units.d);
const text = z.string().max(20_000);
export const nameShape = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, { error: 'is no name: letters, digits, `.`, `_` and `-`, 128 at most' });
const json: z.ZodType<Json> = z.json() as z.ZodType<Json>;
const schema = z.record(z.string(), json) as unknown as z.ZodType<JsonObject>;
const tier = z.enum(['read_only', 'reversible', 'irreversible']);

export type GuardShape =
  | { kind: 'permission'; permission: string }
  | { kind: 'role'; role: string }
  | { kind: 'expr'; expr: string }
  | { kind: 'evidence'; requires: (string | { kind: string; count?: number | undefined; distinct?: boolean | undefined })[] }
  | { kind: 'allOf' | 'all_of' | 'anyOf' | 'any_of'; guards: GuardShape[] }
  | { kind: 'not'; guard: GuardShape };

const requirement = z.union([z.string().min(1), z.strictObject({ kind: z.string().min(1), count: z.int().min(1).optional(), distinct: z.boolean().optional() })]);
export const guardShape: z.ZodType<GuardShape> = z.lazy(() =>
  z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('permission'), permission: z.string().min(1) }),
    z.strictObject({ kind: z.literal('role'), role: z.string().min(1) }),
    z.strictObject({ kind: z.literal('expr'), expr: z.string().min(1) }),
    z.strictObject({ kind: z.literal('evidence'), requires: z.array(requirement).min(1, { error: 'requires nothing: name at least one kind of evidence' }) }),
    z.strictObject({ kind: z.enum(['allOf', 'all_of', 'anyOf', 'any_of']), guards: z.array(guardShape).min(1, { error: 'is empty: name at least one guard' }) }),
    z.strictObject({ kind: z.literal('not'), guard: guardShape }),
  ]),
);
const guards = z.array(guardShape);

const retry = z.strictObject({
  maxAttempts: z.int().min(1).max(100).optional(),
  backoff: z.enum(['none', 'fixed', 'exponential']).optional(),
  initialDelayMs: wholeMs.optional(),
  maxDelayMs: wholeMs.optional(),
  retryOn: z.array(z.enum(['timeout', 'connection', 'rate_limited', 'transient'])).optional(),
});

export interface ReliabilityShape {
  timeout?: number | undefined;
  timeoutMs?: number | undefined;
  retry?: z.infer<typeof retry> | undefined;
  fallback?: { strategy: 'first_success'; executors: ExecutorShape[] } | undefined;
}
const reliability: z.ZodType<ReliabilityShape> = z.lazy(() =>
  z.strictObject({
    timeout: duration.optional(),
    timeoutMs: wholeMs.optional(),
    retry: retry.optional(),
    fallback: z.strictObject({ strategy: z.literal('first_success'), executors: z.array(executorShape).min(1) }).optional(),
  }),
);

const common = { idempotencyKey: z.boolean().optional(), reliability: reliability.optional(), evidence: z.string().min(1).optional() };
const values = z.record(z.string(), json) as unknown as z.ZodType<JsonObject>;
export const executorShape = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('rest'),
    connection: z.string(),
    method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD']),
    path: z.string().regex(/^\//, { error: 'starts with `/`: the connection holds the rest of the address' }),
    query: values.optional(),
    headers: values.optional(),
    body: json.optional(),
    ...common,
  }),
  z.strictObject({ kind: z.literal('mcp'), connection: z.string(), tool: z.string().min(1), map: values.optional(), ...common }),
  z.strictObject({ kind: z.literal('cli'), connection: z.string(), args: z.array(z.union([z.string(), z.number(), z.boolean()])).optional(), stdin: json.optional(), ...common }),
  z.strictObject({ kind: z.literal('human'), queue: z.string().min(1).optional(), roles: z.array(z.string().min(1)).min(1).optional(), reliability: reliability.optional(), evidence: z.string().min(1).optional() }),
  z.strictObject({ kind: z.literal('noop'), output: json.optional(), reliability: reliability.optional(), evidence: z.string().min(1).optional() }),
]);
export type ExecutorShape = z.infer<typeof executorShape>;

export const gateShape = z.strictObject({
  on: z.union([z.string().min(1), guardShape]).optional(),
  roles: z.array(z.string().min(1)).min(1).optional(),
  approver_role: z.string().min(1).optional(),
  queue: z.string().min(1).optional(),
  quorum: z.strictObject({ count: z.int().min(1).optional(), perRole: z.record(z.string(), z.int().min(1)).optional() }).optional(),
  separation: z.strictObject({ requester: z.boolean().optional(), author: z.boolean().optional(), promoter: z.boolean().optional() }).optional(),
  reason: z.enum(['required', 'optional']).optional(),
  timeout: z.strictObject({ after: duration, action: z.enum(['deny', 'escalate', 'approve']).optional(), to: z.array(z.string().min(1)).optional() }).optional(),
});
export type GateShape = z.infer<typeof gateShape>;

const operation = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const pair = z.array(operation).length(2);
const mappingSpec = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.null(),
  z.strictObject({ set: json }),
  z.strictObject({ add: pair }),
  z.strictObject({ subtract: pair }),
  z.strictObject({ multiply: pair }),
  z.strictObject({ divide: pair }),
  z.strictObject({ concat: z.array(operation).min(1) }),
]);
export const mappingShape = z.record(z.string(), mappingSpec);
export type MappingShape = z.infer<typeof mappingShape>;

const transition = z.strictObject({
  title: text.optional(),
  description: text.optional(),
  target: z.string(),
  onDeny: z.string().optional(),
  actor: z.enum(['agent', 'human', 'system', 'deterministic']).optional(),
  tier: tier.optional(),
  tool: z.string().optional(),
  inputSchema: schema.optional(),
  outputSchema: schema.optional(),
  prefill: values.optional(),
  guards: guards.optional(),
  gate: gateShape.optional(),
  executor: executorShape.optional(),
  output: mappingShape.optional(),
  branches: z.array(z.strictObject({ when: guardShape, target: z.string() })).optional(),
  evidence: z.string().min(1).optional(),
  reliability: reliability.optional(),
  idempotencyKey: z.boolean().optional(),
});
export type TransitionShape = z.infer<typeof transition>;

const onEnter = z.strictObject({
  executor: executorShape,
  output: mappingShape.optional(),
  evidence: z.string().min(1).optional(),
  reliability: reliability.optional(),
  idempotencyKey: z.boolean().optional(),
});
export type OnEnterShape = z.infer<typeof onEnter>;

const stateShape = z.strictObject({
  description: text.optional(),
  goal: text.optional(),
  terminal: z.boolean().optional(),
  outcome: z.enum(['success', 'failure']).optional(),
  onEnter: onEnter.optional(),
  linkFilter: z.enum(['all', 'byGuards']).optional(),
  transitions: z.record(z.string(), transition).optional(),
});
export type StateShape = z.infer<typeof stateShape>;

const permissions = z.strictObject({ read: z.array(z.string()).optional(), execute: z.array(z.string()).optional(), deny: z.array(z.string()).optional() });
const gates = z.union([gateShape, z.array(gateShape)]);
const acknowledge = z.array(z.strictObject({ code: z.string(), path: z.string().optional(), reason: z.string().min(1) }));

export const workflowShape = z.strictObject({
  title: text.optional(),
  description: text.optional(),
  tags: z.array(z.string()).optional(),
  owner: z.string().min(1).optional(),
  environment: z.string().min(1).optional(),
  inputSchema: schema.optional(),
  initialState: z.string(),
  initialContext: values.optional(),
  linkFilter: z.enum(['all', 'byGuards']).optional(),
  timeout: duration.optional(),
  timeoutMs: wholeMs.optional(),
  onTimeout: z.strictObject({ target: z.string() }).optional(),
  maxChainDepth: z.int().min(1).max(500).optional(),
  charter: z.strictObject({ permissions: permissions.optional(), approval_gate: gates.optional() }).optional(),
  states: z.record(z.string(), stateShape),
  acknowledge: acknowledge.optional(),
});
export type WorkflowShape = z.infer<typeof workflowShape>;

export const agentShape = z.strictObject({
  version: z.literal(1).optional(),
  name: nameShape,
  title: text.optional(),
  description: text.optional(),
  tags: z.array(z.string()).optional(),
  environment: z.string().min(1).optional(),
  owner: z.string().min(1).optional(),
  inputSchema: schema.optional(),
  timeout: duration.optional(),
  timeoutMs: wholeMs.optional(),
  permissions,
  approval_gate: gates.optional(),
  acknowledge: acknowledge.optional(),
});
export type AgentShape = z.infer<typeof agentShape>;

export const toolShape = z.strictObject({
  name: nameShape,
  title: text.optional(),
  description: text.optional(),
  tier: tier.optional(),
  inputSchema: schema.optional(),
  outputSchema: schema.optional(),
  guards: guards.optional(),
  gate: gateShape.optional(),
  executor: executorShape,
  output: mappingShape.optional(),
  evidence: z.string().min(1).optional(),
  reliability: reliability.optional(),
  idempotencyKey: z.boolean().optional(),
});
export type ToolShape = z.infer<typeof toolShape>;

const strings = z.record(z.string(), z.string());
const restConnection = z.strictObject({ kind: z.literal('rest'), baseUrl: z.string().min(1), allowPrivate: z.boolean().optional(), headers: strings.optional() });
const mcpConnection = z.strictObject({
  kind: z.literal('mcp'),
  command: z.string().min(1).optional(),
  args: z.array(z.string()).optional(),
  env: strings.optional(),
  workingDirectory: z.string().optional(),
  url: z.string().min(1).optional(),
  allowPrivate: z.boolean().optional(),
  headers: strings.optional(),
});
const cliConnection = z.strictObject({ kind: z.literal('cli'), command: z.string().min(1), args: z.array(z.string()).optional(), env: strings.optional(), workingDirectory: z.string().optional() });
export const targetShape = z.discriminatedUnion('kind', [restConnection, mcpConnection, cliConnection]);
export type TargetShape = z.infer<typeof targetShape>;
export const connectionShape = z.union([targetShape, z.strictObject({ environments: z.record(z.string(), targetShape) })]);

export const environmentShape = z.strictObject({
  requireTiers: z.boolean().optional(),
  refuseWarnings: z.boolean().optional(),
  gateTimeout: duration.optional(),
});

export const fileShape = z.strictObject({
  version: z.literal(1).optional(),
  connections: z.record(nameShape, z.unknown()).optional(),
  environments: z.record(nameShape, z.union([environmentShape, z.null()])).optional(),
  roles: z.record(z.string().min(1), z.union([z.strictObject({ permissions: z.array(z.string()).optional() }), z.null()])).optional(),
  queues: z.record(z.string().min(1), z.strictObject({ roles: z.array(z.string().min(1)).min(1) })).optional(),
  tools: z.array(z.unknown()).optional(),
  proxy: z.strictObject({ expose: z.array(z.unknown()) }).optional(),
  workflows: z.record(nameShape, z.unknown()).optional(),
});

/** Every key that any shape knows: where the suggestion for an unknown one comes from. */
export const knownKeys: readonly string[] = [
  ...new Set(
    [transition, onEnter, stateShape, permissions, workflowShape, agentShape, toolShape, gateShape, retry, restConnection, mcpConnection, cliConnection, environmentShape, fileShape, ...executorShape.options].flatMap((one) => Object.keys(one.shape)),
  ),
  'guard',
  'requires',
  'permission',
  'role',
  'expr',
  'count',
  'distinct',
  'perRole',
  'requester',
  'author',
  'promoter',
  'after',
  'action',
  'fallback',
];
