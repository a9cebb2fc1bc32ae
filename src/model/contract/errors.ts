/** The one table of refusals: code, HTTP status, and a title. docs/spec/api.md fixes the codes. */
export const errorTable = {
  MALFORMED: {
    status: 400,
    title: 'the request cannot be read: its headers, or the JSON or YAML of its body',
  },
  UNAUTHENTICATED: { status: 401, title: 'no valid credential' },
  FORBIDDEN: { status: 403, title: 'you may not do this' },
  GUARD_REJECTED: { status: 403, title: 'a guard refused the transition' },
  ACTOR_MISMATCH: { status: 403, title: 'this kind of principal may not take the transition' },
  BLOCKED: { status: 403, title: 'the policies block this action' },
  NOT_AN_APPROVER: { status: 403, title: 'this principal may not decide this approval' },
  HUMANS_ONLY: { status: 403, title: 'only a human may do this' },
  BATCH_IRREVERSIBLE: { status: 403, title: 'what cannot be undone is decided one by one' },
  NOT_FOUND: { status: 404, title: 'unknown, or not for this caller to see' },
  UNKNOWN_TRANSITION: { status: 404, title: 'the current state has no such transition' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'this method is not offered here' },
  STALE_VERSION: { status: 409, title: 'the run has moved on' },
  RUN_BUSY: { status: 409, title: 'another step of this run is executing' },
  RUN_STUCK: { status: 409, title: 'the run waits for an operator' },
  RUN_CLOSED: { status: 409, title: 'the run has ended' },
  FLOW_WITHDRAWN: { status: 409, title: 'the flow takes no new runs' },
  VERSION_SUPERSEDED: { status: 409, title: 'there is a newer version of the flow' },
  NOT_STUCK: { status: 409, title: 'the run is not stuck' },
  ALREADY_DECIDED: { status: 409, title: "the approval, or this person's part of it, is decided already" },
  DIGEST_MISMATCH: { status: 409, title: 'the digest is not the one of this approval' },
  APPROVAL_REVOKED: { status: 409, title: 'the approval was revoked' },
  BATCH_REFUSED: { status: 409, title: 'one of the decisions would be refused, so none was made' },
  LAST_SIGNING_KEY: { status: 409, title: 'this is the only key that the service signs with' },
  KIND_CONFLICT: { status: 409, title: 'this principal exists with another kind, or in another spelling' },
  IDEMPOTENCY_IN_PROGRESS: { status: 409, title: 'a request with this idempotency key is in progress' },
  CONFIRM_REQUIRED: { status: 409, title: 'the reload takes away what must be confirmed by name' },
  APPROVAL_EXPIRED: { status: 410, title: 'the approval has expired' },
  TOO_LARGE: { status: 413, title: 'more than this service takes in one request' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, title: 'this media type is not accepted here' },
  REQUEST_INVALID: { status: 422, title: 'the request does not fit the contract' },
  INPUT_INVALID: { status: 422, title: 'the arguments do not fit the input schema' },
  RUN_FULL: { status: 422, title: 'the run carries as much as it can' },
  FLOW_INVALID: { status: 422, title: 'the flow has errors' },
  POLICY_INVALID: { status: 422, title: 'the policy folder has errors' },
  REASON_REQUIRED: { status: 422, title: 'this gate asks for a reason' },
  DELEGATE_UNFIT: { status: 422, title: 'this person may not stand in here' },
  IDEMPOTENCY_KEY_REUSED: { status: 422, title: 'the idempotency key was used with another body' },
  DIGEST_REQUIRED: { status: 428, title: 'a decision names the digest that it decides' },
  DRY_RUN_REQUIRED: { status: 428, title: 'a batch names the token of its dry run' },
  RATE_LIMITED: { status: 429, title: 'more than this service takes of this kind now' },
  INTERNAL: { status: 500, title: 'something unexpected failed here' },
  EXECUTOR_FAILED: { status: 502, title: 'the executor failed' },
  AUDIT_UNAVAILABLE: {
    status: 503,
    title:
      'not answered in time: the store does not answer, there is too much to do, or the API is stopping; or the rights of the caller changed meanwhile',
  },
  ENGINE_UNAVAILABLE: { status: 503, title: 'the workflow engine does not answer' },
  KEY_UNOPENED: { status: 503, title: 'the key of the values that this needs does not open here' },
} as const;

export type ErrorCode = keyof typeof errorTable;

/** Problems that make a run `stuck` or `failed`; they stand in `run.problem.code`. */
export const problemCodes = [
  'ON_ENTER_FAILED',
  'EXECUTOR_UNKNOWN',
  'CHAIN_NO_MATCH',
  'CHAIN_AMBIGUOUS',
  'CHAIN_TOO_LONG',
  'NO_ELIGIBLE_TRANSITION',
  'STATE_TOO_LARGE',
  'HISTORY_FORKED',
  'STEP_FAILED',
  'START_REFUSED',
  'OUTCOME_FAILURE',
] as const;
export type ProblemCode = (typeof problemCodes)[number];

export const errorClasses = [
  'timeout',
  'rate_limited',
  'connection',
  'transient',
  'permanent',
  'auth',
  'unknown_outcome',
] as const;
export type ErrorClass = (typeof errorClasses)[number];

/** Codes with which a submit may be refused, besides those of every route. */
export const submitErrors: readonly ErrorCode[] = [
  'GUARD_REJECTED',
  'ACTOR_MISMATCH',
  'BLOCKED',
  'STALE_VERSION',
  'RUN_BUSY',
  'RUN_STUCK',
  'RUN_CLOSED',
  'UNKNOWN_TRANSITION',
  'INPUT_INVALID',
  'TOO_LARGE',
  'RUN_FULL',
  'RATE_LIMITED',
  'EXECUTOR_FAILED',
  'ENGINE_UNAVAILABLE',
  'KEY_UNOPENED',
];

/** Codes with which a decision may be refused at every door, besides those of every route. */
export const decisionErrors: readonly ErrorCode[] = [
  'NOT_AN_APPROVER',
  'ALREADY_DECIDED',
  'DIGEST_MISMATCH',
  'APPROVAL_REVOKED',
  'RUN_STUCK',
  'RUN_CLOSED',
  'APPROVAL_EXPIRED',
  'REASON_REQUIRED',
  'DIGEST_REQUIRED',
  'RATE_LIMITED',
  'ENGINE_UNAVAILABLE',
  'KEY_UNOPENED',
];
