// Everything that a check of policies can find. docs/checks.md has an entry for each code; a test compares the two.

type Severity = 'error' | 'warning';

interface Entry {
  readonly severity: Severity;
  /** One line, for a list of rules. */
  readonly title: string;
}

/** With an error, nothing loads. With a warning, it loads; it can be acknowledged with a reason, and an environment may refuse it. */
export const findings = {
  // Files and text
  NO_FOLDER: { severity: 'error', title: 'there is no policies folder' },
  UNKNOWN_PLACE: { severity: 'error', title: 'a file in a place that the layout does not know' },
  UNREADABLE: { severity: 'error', title: 'a file that is no UTF-8 text' },
  EMPTY_FILE: { severity: 'error', title: 'a file that declares nothing' },
  MALFORMED: { severity: 'error', title: 'no YAML, or YAML that means more than values' },
  TOO_LARGE: { severity: 'error', title: 'a document that is too long, too full or nested too deeply' },
  DUPLICATE_NAME: { severity: 'error', title: 'a name that is declared twice' },
  NAME_INVALID: { severity: 'error', title: 'a name that cannot be one' },
  ONE_FLOW: { severity: 'error', title: 'not exactly one flow where one is sent' },
  // Shape
  UNKNOWN_KEY: { severity: 'error', title: 'a key that means nothing here' },
  UNKNOWN_VALUE: { severity: 'error', title: 'a word that is none of those that fit here' },
  UNKNOWN_KIND: { severity: 'error', title: 'a guard, executor or connection of an unknown kind' },
  REQUIRED: { severity: 'error', title: 'something that must be written is missing' },
  WRONG_TYPE: { severity: 'error', title: 'a value of the wrong type' },
  WRONG_VALUE: { severity: 'error', title: 'a value that makes no sense here' },
  BOTH_PLACES: { severity: 'error', title: 'the same thing said in two places' },
  SCHEMA_INVALID: { severity: 'error', title: 'a JSON Schema that does not compile' },
  DEFAULT_NOT_FILLED: { severity: 'warning', title: 'a default of a JSON Schema that is not filled in' },
  // States
  INITIAL_STATE: { severity: 'error', title: 'no initial state, or one that does not exist' },
  DANGLING_TARGET: { severity: 'error', title: 'a way to a state that does not exist' },
  TERMINAL_TRANSITIONS: { severity: 'error', title: 'transitions out of a terminal state' },
  DETERMINISTIC_LOOP: { severity: 'error', title: 'deterministic transitions without an exit' },
  UNREACHABLE_STATE: { severity: 'warning', title: 'a state that nothing leads to' },
  DEAD_END: { severity: 'warning', title: 'a state that is not terminal and has no way out' },
  NO_WAY_TO_END: { severity: 'warning', title: 'a state from which no terminal state can be reached' },
  MIXED_DETERMINISTIC: { severity: 'warning', title: 'deterministic transitions beside others' },
  DETERMINISTIC_HOLE: { severity: 'warning', title: 'values for which no deterministic transition applies' },
  DETERMINISTIC_OVERLAP: {
    severity: 'warning',
    title: 'values for which several deterministic transitions apply',
  },
  // Guards and values
  EMPTY_GUARD: { severity: 'error', title: 'a guard that asks for nothing' },
  EXPRESSION_INVALID: { severity: 'error', title: 'an expression that is not exactly one comparison' },
  UNKNOWN_SCOPE: { severity: 'error', title: 'a path that starts where no value is' },
  PATH_INVALID: { severity: 'error', title: 'a path or a hole that cannot be read' },
  TEMPLATE_NOT_FILLED: {
    severity: 'warning',
    title: 'a template of another notation, which nothing fills in',
  },
  UNDECLARED_ARGUMENT: { severity: 'error', title: 'a read of an argument that no schema declares' },
  EVIDENCE_NEVER_PRODUCED: { severity: 'error', title: 'a demand for evidence that nothing records' },
  NEVER_COMPARES: { severity: 'warning', title: 'a comparison of types that do not compare' },
  NEVER_HOLDS: { severity: 'warning', title: 'a comparison that is never true' },
  NEVER_FAILS: { severity: 'warning', title: 'a comparison that is never false' },
  CONTRADICTION: { severity: 'warning', title: 'conditions that cannot hold together' },
  NEVER_WRITTEN: { severity: 'warning', title: 'a read of a value that nothing writes' },
  GUARDED_KEY_FROM_ARGUMENTS: {
    severity: 'warning',
    title: 'a value that guards read is taken from the arguments of a call',
  },
  NUMBER_REWRITTEN: {
    severity: 'warning',
    title: 'a number that is handed on in other digits than its author wrote',
  },
  // References
  UNKNOWN_CONNECTION: { severity: 'error', title: 'a connection that no file declares' },
  CONNECTION_KIND: { severity: 'error', title: 'a connection of another kind' },
  CONNECTION_INVALID: { severity: 'error', title: 'a connection that leads nowhere' },
  PRIVATE_ADDRESS: {
    severity: 'warning',
    title: 'an address that is not public, in a connection that does not say so',
  },
  SECRET_REFERENCE: {
    severity: 'error',
    title: 'a secret in the place of its reference, or a reference that would never be resolved',
  },
  SECRET_SUSPECTED: { severity: 'warning', title: 'a value that may be a credential as it is' },
  REFERENCE_UNSET: { severity: 'warning', title: 'a reference that has no value on this machine' },
  HEADER_TAKEN: { severity: 'error', title: "a header that is the connection's" },
  UNKNOWN_TOOL: { severity: 'error', title: 'a tool that no file declares' },
  UNKNOWN_ENVIRONMENT: { severity: 'error', title: 'an environment that no file declares' },
  UNKNOWN_DENIED_TOOL: { severity: 'warning', title: 'a denial of a tool that is nearly another one' },
  UNKNOWN_QUEUE: { severity: 'warning', title: 'a queue, where no file declares any' },
  UNDECLARED_QUEUE: { severity: 'error', title: 'a queue that is none of the declared ones' },
  UNKNOWN_ROLE: { severity: 'warning', title: 'a role that no file declares, and that is likely a slip' },
  UNKNOWN_HOURS: { severity: 'warning', title: 'business hours where nobody has any' },
  UNKNOWN_CHANNEL: { severity: 'error', title: 'a channel of notifications that no file declares' },
  ROUTE_UNKNOWN: { severity: 'error', title: 'a route for a queue or a role that nothing uses' },
  UNKNOWN_FLOW: { severity: 'warning', title: 'a route for a flow that no file declares' },
  NAMES_DIFFER_IN_CASE: { severity: 'warning', title: 'two names that differ in case only' },
  // Tiers, charters, executors
  TIER_REQUIRED: { severity: 'error', title: 'a tool or an executor without a tier under a charter' },
  TIER_MISMATCH: { severity: 'error', title: "a tier that is not the tool's" },
  TIER_MISSING: { severity: 'warning', title: 'a tool or an executor without a tier' },
  DENIED_AND_PERMITTED: { severity: 'warning', title: 'a tool that a charter permits and denies' },
  BLOCKED_BY_CHARTER: { severity: 'warning', title: 'a transition that its charter always refuses' },
  READ_ONLY_WRITES: { severity: 'error', title: 'an effect that calls itself a read' },
  READ_ONLY_UNEXPLAINED: {
    severity: 'warning',
    title: 'a call that may change something, and calls itself a read without a reason',
  },
  RETRY_NOT_IDEMPOTENT: { severity: 'warning', title: 'an effect that is tried again without a key' },
  SUB_FLOW: { severity: 'error', title: 'a flow inside a flow, which could be wider than its parent' },
  // Gates
  QUORUM_IMPOSSIBLE: { severity: 'error', title: 'a quorum that those who may decide cannot supply' },
  GATE_TIMEOUT: { severity: 'error', title: 'a timeout policy that a gate cannot have' },
  GATE_IMPOSSIBLE: { severity: 'error', title: 'an effect that would need a gate where none can wait' },
  DETERMINISTIC_GATE: { severity: 'warning', title: 'a gate whose denial leaves nobody a way on' },
  NOTHING_TO_DENY: { severity: 'warning', title: 'an `onDeny` where nothing waits that could be denied' },
  TIME_PASSED: { severity: 'warning', title: 'a time that is over' },
  GATE_WITHOUT_TIMEOUT: { severity: 'warning', title: 'a gate without a timeout policy' },
  GATE_SHOWS_NOTHING: { severity: 'warning', title: 'a gate with nothing to show to an approver' },
  GATE_NOT_CONCERNED: { severity: 'warning', title: "a charter's gate that an action can never meet" },
  GATE_FOR_NOTHING: { severity: 'warning', title: "a charter's gate without an action to gate" },
  DEFAULT_GATE: { severity: 'warning', title: 'an irreversible effect without a gate of its own' },
  // The flow and its file
  NO_OWNER: { severity: 'warning', title: 'a flow without an owner' },
  ACKNOWLEDGED_ERROR: { severity: 'error', title: 'an acknowledgement of what cannot be accepted' },
  ACKNOWLEDGED_NOTHING: { severity: 'warning', title: 'an acknowledgement of a warning that is not there' },
} as const satisfies Readonly<Record<string, Entry>>;

export type FindingCode = keyof typeof findings;
type CodeOf<S extends Severity> = {
  [Code in FindingCode]: (typeof findings)[Code]['severity'] extends S ? Code : never;
}[FindingCode];
export type ErrorFinding = CodeOf<'error'>;
export type WarningFinding = CodeOf<'warning'>;

export const findingCodes = Object.keys(findings) as readonly FindingCode[];
export const warningCodes = findingCodes.filter((code) => findings[code].severity === 'warning');

/** Where a finding is explained, with a bad and a good example. */
export function helpOf(code: FindingCode): string {
  return `docs/checks.md#${code.toLowerCase()}`;
}
