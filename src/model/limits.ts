// Limits; those named `…Bytes` count canonical JSON in UTF-8, but `longestRoleBytes` the name itself, and `mostChainBytes`
// comparisons too. They are checked at the door, so that a run can carry all that the service accepts.

/** A start's input, a submit's arguments, and the reasoning with either: each of them. */
export const mostValueBytes = 1024 * 1024;
/** Together: the arguments and previews of a run's open approvals, what else its document has of them, and the arguments of its unanswered messages. */
export const mostOpenBytes = 4 * 1024 * 1024;
/** What the templates of a call make: path, query, headers, body, arguments; with its fallbacks, since an approver is shown them too. */
export const mostCallBytes = 2 * 1024 * 1024;
/** The same counted in values, objects and lists included: twice as many as a request may have. */
export const mostCallValues = 100_000;
/** A run's context, which its mappings write. */
export const mostContextBytes = 512 * 1024;
/** Conditions of a step, parts of conditions included: those of its guards, branches and gates. */
export const mostConditions = 256;
/** Conditions of all deterministic transitions of a state, which are evaluated at once. */
export const mostStateConditions = 1_000;
/** Values that the mappings of a step read or set; each operand counts. */
export const mostMapped = 1_000;
/** Roles that a gate, executor, escalation or queue names. */
export const mostRoles = 100;
/** Characters of a name that policies or callers choose; some names stand in the store's indexes. */
export const longestName = 200;
/** Bytes of a role of an approval, because an index takes no more; also in flows that were published when names had no limit. */
export const longestRoleBytes = 2_700;
/** People whom the roles of a quorum ask for together. */
export const mostSlots = 100;
/** Fallbacks of an executor; each is a call of its own. */
export const mostFallbacks = 10;
/** Values read by the guards of a decision that are on record in full; the rest are on record by size and digest. */
export const mostReadBytes = 256 * 1024;
/** What the deterministic chain of a decision makes and compares, so that no other run waits for it for long. */
export const mostChainBytes = 8 * 1024 * 1024;
/** Steps and conditions of the deterministic chain of a decision; each is on record. */
export const mostChainFacts = 1_500;
/** What a run's open approvals take of its document when they open: guards, gates, roles, who asked. */
export const mostApprovalsBytes = 1024 * 1024;
/** A run's document: its context, its open approvals without their arguments, and what it has done. */
export const mostDocumentBytes = 2 * 1024 * 1024;
/** Messages of a run without an answer: this many submits, and this many decisions, cancels and retries together. */
export const mostUnanswered = 50;
/** All messages of a run that can wait at a time: submits; decisions, cancels and retries; and its start. */
export const mostWaiting = 2 * mostUnanswered + 1;
/** Approvals of a run that can be open at a time. */
export const mostOpenApprovals = 100;
/** Values that an answer carries. A page of a list ends before it exceeds this, but holds at least one item. */
export const mostAnswerBytes = 4 * 1024 * 1024;
