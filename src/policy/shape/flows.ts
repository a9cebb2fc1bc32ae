import { z } from 'zod';
import { evidenceKind, executorShape, guards, guardShape, mappingShape, reliability } from './actions.js';
import {
  acknowledge,
  duration,
  identifier,
  labelShape,
  line,
  nameShape,
  positiveMs,
  reason,
  schema,
  text,
  tier,
  values,
} from './basics.js';
import { gateShape } from './gates.js';

// Flows in both notations, and tools.

/** For the approver, with `{$.arguments.name}` holes. */
const sentence = line.min(1).max(500);
const title = line.max(20_000);
const sentences = { summary: sentence.optional(), consequence: sentence.optional() };

const transition = z.strictObject({
  title: title.optional(),
  description: text.optional(),
  ...sentences,
  target: identifier,
  onDeny: identifier.optional(),
  actor: z.enum(['agent', 'human', 'system', 'deterministic']).optional(),
  tier: tier.optional(),
  readOnlyBecause: reason.optional(),
  tool: identifier.optional(),
  inputSchema: schema.optional(),
  outputSchema: schema.optional(),
  prefill: values.optional(),
  guards: guards.optional(),
  gate: gateShape.optional(),
  executor: executorShape.optional(),
  output: mappingShape.optional(),
  branches: z.array(z.strictObject({ when: guardShape, target: identifier })).optional(),
  evidence: evidenceKind.optional(),
  reliability: reliability.optional(),
  idempotencyKey: z.boolean().optional(),
});
export type TransitionShape = z.infer<typeof transition>;

const onEnter = z.strictObject({
  tier: tier.optional(),
  readOnlyBecause: reason.optional(),
  executor: executorShape,
  output: mappingShape.optional(),
  evidence: evidenceKind.optional(),
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
  transitions: z.record(labelShape, transition).optional(),
});
export type StateShape = z.infer<typeof stateShape>;

const permissions = z.strictObject({
  read: z.array(identifier).optional(),
  execute: z.array(identifier).optional(),
  deny: z.array(identifier).optional(),
});
const gates = z.union([gateShape, z.array(gateShape).min(1).max(20)]);

export const workflowShape = z.strictObject({
  title: title.optional(),
  description: text.optional(),
  tags: z.array(z.string()).optional(),
  owner: line.min(1).optional(),
  environment: identifier.optional(),
  inputSchema: schema.optional(),
  initialState: identifier,
  initialContext: values.optional(),
  linkFilter: z.enum(['all', 'byGuards']).optional(),
  timeout: duration.optional(),
  timeoutMs: positiveMs.optional(),
  onTimeout: z.strictObject({ target: identifier }).optional(),
  maxChainDepth: z.int().min(1).max(500).optional(),
  charter: z
    .strictObject({ permissions: permissions.optional(), approval_gate: gates.optional() })
    .optional(),
  states: z.record(labelShape, stateShape),
  acknowledge: acknowledge.optional(),
});
export type WorkflowShape = z.infer<typeof workflowShape>;

export const agentShape = z.strictObject({
  version: z.literal(1).optional(),
  name: nameShape,
  title: title.optional(),
  description: text.optional(),
  tags: z.array(z.string()).optional(),
  environment: identifier.optional(),
  owner: line.min(1).optional(),
  inputSchema: schema.optional(),
  timeout: duration.optional(),
  timeoutMs: positiveMs.optional(),
  permissions,
  approval_gate: gates.optional(),
  acknowledge: acknowledge.optional(),
});
export type AgentShape = z.infer<typeof agentShape>;

export const toolShape = z.strictObject({
  name: nameShape,
  title: title.optional(),
  description: text.optional(),
  ...sentences,
  tier: tier.optional(),
  readOnlyBecause: reason.optional(),
  inputSchema: schema.optional(),
  outputSchema: schema.optional(),
  guards: guards.optional(),
  gate: gateShape.optional(),
  executor: executorShape,
  output: mappingShape.optional(),
  evidence: evidenceKind.optional(),
  reliability: reliability.optional(),
  idempotencyKey: z.boolean().optional(),
  acknowledge: acknowledge.optional(),
});
export type ToolShape = z.infer<typeof toolShape>;
