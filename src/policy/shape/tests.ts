import { z } from 'zod';
import type { MayDecide } from '../../engine/gates/deciders.js';
import { approvalStatuses } from '../../model/approval-status.js';
import type { Json, JsonObject } from '../../model/values/json.js';
import { errorClasses, problemCodes, type ErrorCode } from '../../model/contract/errors.js';
import { principalKinds } from '../../model/principal.js';
import { closingTypes, type RecordType } from '../../model/records.js';
import { json, text, values } from './basics.js';

// `tests/*.test.yaml`: what is done to a flow, and what is expected to follow (docs/policy-tests.md).

const name = z.string().min(1).max(200);
const names = z.array(name);
/** The codes with which the policy check refuses. All other error codes belong to the API. */
const codes = [
  'ACTOR_MISMATCH',
  'GUARD_REJECTED',
  'BLOCKED',
  'INPUT_INVALID',
  'UNKNOWN_TRANSITION',
  'FORBIDDEN',
  'STALE_VERSION',
  'RUN_BUSY',
  'RUN_STUCK',
  'RUN_CLOSED',
  'NOT_STUCK',
  'NOT_AN_APPROVER',
  'ALREADY_DECIDED',
  'APPROVAL_EXPIRED',
  'APPROVAL_REVOKED',
  'DIGEST_MISMATCH',
  'REASON_REQUIRED',
  'EXECUTOR_FAILED',
] as const satisfies readonly ErrorCode[];

export const verdicts = ['executed', 'pending', 'accepted', 'executing', 'refused'] as const;
export const runStatuses = [
  'running',
  'waiting',
  'stuck',
  'completed',
  'cancelled',
  'failed',
  'timed_out',
] as const;
const guardKinds = ['permission', 'role', 'expr', 'evidence', 'allOf', 'anyOf', 'not'] as const;
/** Why a principal may not decide. */
const whyNot = [
  'not_human',
  'not_direct',
  'requester',
  'author',
  'promoter',
  'approver',
  'role_missing',
  'already_decided',
] as const satisfies readonly Extract<MayDecide, { status: 'no' }>['why'][];

/** Types of records that the policy check writes. Records of executors (`executor.started` …) are not part of a simulation. */
const decidedRecords = [
  'run.started',
  'transition.requested',
  'policy.blocked',
  'guard.evaluated',
  'transition.rejected',
  'human.approval.requested',
  'approval.decided',
  'approval.refused',
  'approval.escalated',
  'approval.expired',
  'approval.revoked',
  'approval.consumed',
  'evidence.recorded',
  'mapping.unresolved',
  'run.transitioned',
  'transition.branched',
  'chain.step',
  'run.stuck',
  'run.retried',
  ...closingTypes,
  'timeout.fired',
] as const satisfies readonly RecordType[];

const count = z.int().min(0).max(1_000_000);
const loose = values as z.ZodType<JsonObject>;

export const principalShape = z.strictObject({
  kind: z.enum(principalKinds),
  id: name.optional(),
  roles: names.optional(),
  permissions: names.optional(),
  actedBy: name.optional(),
});
export type PrincipalShape = z.infer<typeof principalShape>;
export const principalsShape = z.record(name, principalShape);

/** The answer that an executor is taken to have given: executors are never run. */
export const answerShape = z.union([
  z.strictObject({ output: json, response: json.optional(), evidence: names.optional() }),
  z.strictObject({ failed: z.enum(errorClasses), message: text.optional() }),
]);
export type AnswerShape = z.infer<typeof answerShape>;
const answers = z.record(name, z.union([answerShape, z.null()]));

const recordShape = z.strictObject({
  type: z.enum(decidedRecords),
  by: name.optional(),
  transition: name.optional(),
  tool: name.optional(),
  permission: name.optional(),
  rule: name.optional(),
  verdict: name.optional(),
  reason: text.optional(),
  data: loose.optional(),
});
const recordsShape = z.array(z.union([z.enum(decidedRecords), recordShape]));
export type RecordExpectation = z.infer<typeof recordsShape>[number];

export const expectShape = z.strictObject({
  verdict: z.enum(verdicts).optional(),
  code: z.enum(codes).optional(),
  guard: z
    .union([
      count,
      z.strictObject({
        index: count.optional(),
        kind: z.enum(guardKinds).optional(),
        verdict: z.enum(['fail', 'error']).optional(),
        reason: text.optional(),
      }),
    ])
    .optional(),
  rule: z.enum(['denied', 'undeclared', 'unmapped']).optional(),
  why: z.enum(whyNot).optional(),
  class: z.enum(errorClasses).optional(),
  message: text.optional(),
  errors: names.optional(),
  state: name.optional(),
  status: z.enum(runStatuses).optional(),
  version: count.optional(),
  context: loose.optional(),
  problem: z
    .union([
      z.enum([...problemCodes, ...codes]),
      z.strictObject({
        code: z.enum([...problemCodes, ...codes]).optional(),
        class: z.enum(errorClasses).optional(),
        message: text.optional(),
      }),
      z.null(),
    ])
    .optional(),
  evidence: z.record(name, count).optional(),
  executing: z.union([name, z.null()]).optional(),
  chain: names.optional(),
  approval: z
    .union([
      z.enum(approvalStatuses),
      z.strictObject({
        transition: name.optional(),
        status: z.enum(approvalStatuses).optional(),
        roles: names.optional(),
        quorum: count.optional(),
        because: text.optional(),
        decisions: count.optional(),
      }),
      z.null(),
    ])
    .optional(),
  records: recordsShape.optional(),
  someRecords: recordsShape.optional(),
  noRecords: z.array(z.enum(decidedRecords)).optional(),
  links: z.record(name, names).optional(),
});
export type ExpectShape = z.infer<typeof expectShape>;

/** An expectation may be a single word: the verdict, why it was refused, or the status of the run. */
const expectWords = [...verdicts, ...runStatuses, ...problemCodes, ...codes] as const;
const expectation = z.union([z.enum(expectWords), expectShape]);
export type ExpectationShape = z.infer<typeof expectation>;

const action = {
  submit: name.optional(),
  with: loose.optional(),
  expectedVersion: count.optional(),
  approve: name.optional(),
  deny: name.optional(),
  approval: name.optional(),
  reason: text.optional(),
  digest: text.optional(),
  answered: json.optional() as unknown as z.ZodOptional<z.ZodType<Json>>,
  response: json.optional() as unknown as z.ZodOptional<z.ZodType<Json>>,
  evidence: names.optional(),
  failed: z.enum(errorClasses).optional(),
  message: text.optional(),
  passes: z.enum(['deadline', 'timeout']).optional(),
  cancel: name.optional(),
  retry: name.optional(),
};

export const stepShape = z.strictObject({ ...action, as: name.optional(), expect: expectation.optional() });
export type StepShape = z.infer<typeof stepShape>;

const caseShape = z.strictObject({
  name,
  flow: name.optional(),
  startedBy: name.optional(),
  input: loose.optional(),
  state: name.optional(),
  context: loose.optional(),
  recorded: z.array(z.union([name, z.strictObject({ kind: name, by: name.optional() })])).optional(),
  answers: answers.optional(),
  ...action,
  as: z.union([name, names.min(1), z.record(name, expectation)]).optional(),
  steps: z.array(stepShape).min(1).optional(),
  expect: expectation.optional(),
});
export type CaseShape = z.infer<typeof caseShape>;

export const testsShape = z.strictObject({
  version: z.literal(1).optional(),
  flow: name.optional(),
  principals: principalsShape.optional(),
  input: loose.optional(),
  startedBy: name.optional(),
  answers: answers.optional(),
  cases: z.array(caseShape),
});
export type TestsShape = z.infer<typeof testsShape>;
