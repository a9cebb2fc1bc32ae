// Budgets, in bytes of canonical JSON (UTF-8). They are asked for at the door: what the service has taken, a run can carry.

/** A start's input, a submit's arguments, the reasoning that comes with either. */
export const mostValueBytes = 1024 * 1024;
/** The arguments and previews of a run's open approvals, what its document has of them besides, and the arguments of what it has been asked and has not answered. */
export const mostOpenBytes = 4 * 1024 * 1024;
/** What the templates of one call make: path, query, headers, body, arguments. With its fallbacks, for an approver to see. */
export const mostCallBytes = 2 * 1024 * 1024;
/** The same in values, objects and lists included: as two requests may have. */
export const mostCallValues = 100_000;
/** A run's context: what its mappings have written. */
export const mostContextBytes = 512 * 1024;
/** Conditions that one step asks, parts of a condition included: its guards, its branches, what its gates ask. */
export const mostConditions = 256;
/** Conditions that the deterministic transitions of one state ask together: they are asked at once. */
export const mostStateConditions = 1_000;
/** Values that the mappings of one step read or set: each operand is one. */
export const mostMapped = 1_000;
/** Roles that one gate, executor, escalation or queue names. */
export const mostRoles = 100;
/** Characters of a name that policies or callers choose: some stand in the store's indexes. */
export const longestName = 200;
/** Bytes of a role of an approval, also in a flow that was published when a name had no longest: an index takes no more. */
export const longestRoleBytes = 2_700;
/** People whom the roles of one quorum ask for together. */
export const mostSlots = 100;
/** Executors that stand in for one that has failed: each is a call of its own. */
export const mostFallbacks = 10;
/** What the guards of one decision read that is on record as it is: the rest is there by size and digest. */
export const mostReadBytes = 256 * 1024;
/** What the deterministic chain of one decision makes and compares, so that it keeps no other run waiting. */
export const mostChainBytes = 16 * 1024 * 1024;
/** Steps and conditions of the deterministic chain in one decision: each is on record. */
export const mostChainFacts = 1_500;
/** What the open approvals of a run take of its document, as they open: guards, gates, roles, who asked. */
export const mostApprovalsBytes = 1024 * 1024;
/** A run's document: context, open approvals without their arguments, and what it has done. */
export const mostDocumentBytes = 2 * 1024 * 1024;
/** Messages of a run that have no answer yet: as many submits, and as many decisions, cancels and retries together. */
export const mostUnanswered = 50;
/** Messages of a run that wait at a time: its submits, its decisions, cancels and retries, and its start. */
export const mostWaiting = 2 * mostUnanswered + 1;
/** Approvals of a run that are open at a time. */
export const mostOpenApprovals = 100;
/** The values that one answer carries: a page of a list ends there, though never before its first item. */
export const mostAnswerBytes = 4 * 1024 * 1024;
