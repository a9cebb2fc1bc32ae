import type { GateRule } from '../model/gate-rule.js';
import type { Json, JsonObject } from '../model/values/json.js';

/** A flow compiled once at publish. Plain JSON: a run carries it by the hash of its canonical form. */
export interface Plan {
  readonly v: 1;
  readonly name: string;
  readonly notation: 'states' | 'agent' | 'proxy';
  readonly title: string | null;
  readonly description: string | null;
  readonly owner: string | null;
  readonly tags: readonly string[];
  /** The environment that the definition names; null means the default, `dev`. */
  readonly environment: string | null;
  /** JSON Schema 2020-12 of the start input; null means no input is accepted. */
  readonly inputSchema: JsonObject | null;
  readonly initialState: string;
  readonly initialContext: JsonObject;
  readonly linkFilter: LinkFilter;
  readonly timeoutMs: number | null;
  readonly onTimeout: { readonly target: string } | null;
  readonly maxChainDepth: number;
  readonly charter: Charter | null;
  readonly states: readonly State[];
}

type LinkFilter = 'all' | 'byGuards';
export type Tier = 'read_only' | 'reversible' | 'irreversible';
export type Actor = 'agent' | 'human' | 'system' | 'deterministic';

export interface Charter {
  readonly read: readonly string[];
  readonly execute: readonly string[];
  readonly deny: readonly string[];
  /** Names among read and execute for which no tool with a tier exists: refused with rule `unmapped`. */
  readonly unmapped: readonly string[];
}

export interface State {
  readonly name: string;
  readonly description: string | null;
  readonly goal: string | null;
  readonly terminal: boolean;
  readonly outcome: 'success' | 'failure' | null;
  readonly onEnter: OnEnter | null;
  readonly linkFilter: LinkFilter | null;
  readonly transitions: readonly Transition[];
}

export interface OnEnter {
  /** Absent: the author wrote none. */
  readonly tier?: Tier;
  /**
   * The gates at which a transition would wait here. Nobody can be asked on the way into a state, so a flow with any does not
   * load. Absent: there are none, or the plan was compiled before they were looked for.
   */
  readonly gates?: readonly Gate[];
  readonly executor: Executor;
  readonly output: readonly Mapping[];
  readonly reliability: Reliability;
  /** Kind of evidence recorded on success besides the executor's own. */
  readonly evidence: string | null;
  readonly readOnlyBecause?: string;
}

export interface Transition {
  readonly name: string;
  readonly title: string;
  readonly description: string | null;
  readonly target: string;
  readonly onDeny: string | null;
  readonly actor: Actor;
  readonly tier: Tier | null;
  readonly tool: string | null;
  /** JSON Schema 2020-12; null means no arguments are accepted. */
  readonly inputSchema: JsonObject | null;
  /** The schema of its tool, where the transition has one of its own too: arguments must fit both. Absent: `inputSchema` is all. */
  readonly toolSchema?: JsonObject;
  readonly outputSchema: JsonObject | null;
  /** Values that the link offers for its arguments. */
  readonly prefill: readonly { readonly key: string; readonly value: Template }[];
  readonly guards: readonly Guard[];
  /** From the transition, its tool, its charter and its tier: each that applies must be approved. Environments add floors when the transition parks. */
  readonly gates: readonly Gate[];
  readonly executor: Executor | null;
  readonly output: readonly Mapping[];
  readonly branches: readonly { readonly when: Guard; readonly target: string }[];
  readonly evidence: string | null;
  readonly reliability: Reliability;
  /** Sentences for the approver, over arguments, context and input: who asks for what, and what follows from it. */
  readonly summary?: TextTemplate;
  readonly consequence?: TextTemplate;
  /** In its author's words: why its call, of tier `read_only`, changes nothing, where its kind of executor does not show that. */
  readonly readOnlyBecause?: string;
}

// --- expressions -------------------------------------------------------------------------------

export type Scope = 'arguments' | 'context' | 'input' | 'output' | 'response';

export interface Path {
  readonly kind: 'path';
  readonly scope: Scope;
  /** Property names and array indexes, in order; indexes as their decimal text. */
  readonly segments: readonly string[];
  /** Trailing `?`: null instead of a failed call. Only in templates. */
  readonly optional: boolean;
  /** As written. */
  readonly text: string;
}

export interface Literal {
  readonly kind: 'literal';
  readonly value: string | number | boolean | null;
}

export type Operand = Path | Literal;
export const operators = ['==', '!=', '<=', '>=', '<', '>', 'starts_with', 'contains'] as const;
export type Operator = (typeof operators)[number];

export interface Comparison {
  readonly left: Operand;
  readonly operator: Operator;
  readonly right: Operand;
  readonly text: string;
}

// --- guards ------------------------------------------------------------------------------------

export type Guard =
  | { readonly kind: 'permission'; readonly permission: string }
  | { readonly kind: 'role'; readonly role: string }
  | { readonly kind: 'expr'; readonly expr: Comparison }
  | { readonly kind: 'evidence'; readonly requires: readonly EvidenceRequirement[] }
  | { readonly kind: 'allOf'; readonly guards: readonly Guard[] }
  | { readonly kind: 'anyOf'; readonly guards: readonly Guard[] }
  | { readonly kind: 'not'; readonly guard: Guard };

export interface EvidenceRequirement {
  readonly kind: string;
  readonly count: number;
  readonly distinct: boolean;
}

// --- templates and mappings --------------------------------------------------------------------

/** Text with holes: `pays {$.arguments.amount} to {$.arguments.vendor}`. */
export interface TextTemplate {
  readonly kind: 'text';
  readonly parts: readonly (string | Path)[];
}

/** Values built for a call: literals, `$.` paths, text with `{$.path}` holes, objects and arrays of them. */
export type Template =
  | { readonly kind: 'literal'; readonly value: Json }
  | Path
  | { readonly kind: 'text'; readonly parts: readonly (string | Path)[] }
  | {
      readonly kind: 'object';
      readonly entries: readonly { readonly key: string; readonly value: Template }[];
    }
  | { readonly kind: 'array'; readonly items: readonly Template[] };

export interface Mapping {
  readonly key: string;
  readonly spec:
    | { readonly kind: 'set'; readonly value: Operand | { readonly kind: 'json'; readonly value: Json } }
    | {
        readonly kind: 'add' | 'subtract' | 'multiply' | 'divide' | 'concat';
        readonly operands: readonly Operand[];
      };
}

// --- executors ---------------------------------------------------------------------------------

/** What all kinds have in common; the fields of a kind of its own are declared in its folder (`src/executors`). */
export type Executor = HumanExecutor | FixedExecutor | CallExecutor;

/** Asks people, and calls nothing. */
interface HumanExecutor {
  readonly kind: 'human';
  readonly queue: string | null;
  readonly roles: readonly string[];
}

/** Calls nothing: its answer is written in the plan. */
export interface FixedExecutor {
  readonly kind: string;
  readonly output: Json;
}

/** Calls over a connection. */
export interface CallExecutor {
  readonly kind: string;
  readonly connection: string;
  readonly idempotencyKey: boolean;
  readonly output?: never;
  readonly [own: string]: unknown;
}

export function asksPeople(executor: Executor | null): executor is HumanExecutor {
  return executor?.kind === 'human';
}

/** The executor has an output written in the plan, and no connection. */
export function callsNothing(executor: Executor): boolean {
  return 'output' in executor && !('connection' in executor);
}

/** An executor of which nothing says that it calls nothing is taken to call. */
export function isCall(executor: Executor): executor is CallExecutor {
  return !asksPeople(executor) && !callsNothing(executor);
}

export interface Reliability {
  /** Milliseconds for one attempt. */
  readonly timeoutMs: number;
  readonly maxAttempts: number;
  readonly backoff: 'none' | 'fixed' | 'exponential';
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  readonly retryOn: readonly ('timeout' | 'connection' | 'rate_limited' | 'transient')[];
  /** Tried in order after the last attempt, with the same idempotency key. */
  readonly fallback: readonly Executor[];
}

// --- gates -------------------------------------------------------------------------------------

export type GateSource = 'transition' | 'tool' | 'charter' | 'environment' | 'executor' | 'tier';

export type { GateTimeout } from '../model/gate-rule.js';

export interface Gate extends GateRule {
  /** Null: the gate always applies. It applies, too, where the condition is an error. */
  readonly on: Guard | null;
  /** Times in arguments, context or input with which the approval ends, denied: RFC 3339 with a zone. */
  readonly expiresWith?: readonly Path[];
  /** Which rule asks, for the approver: `charter: amount > 50000`. */
  readonly because: readonly string[];
  readonly origin?: {
    readonly source: GateSource;
    /** Where the gate stands in the flow's own document; null: it is written elsewhere. */
    readonly path: readonly (string | number)[] | null;
  };
}

/** What an environment asks for, whatever the author wrote, of effects of these tiers; `none`: of effects without a tier. */
export interface Floor {
  readonly tiers: readonly (Tier | 'none')[];
  readonly gate: Gate;
}

export const defaultReliability: Reliability = {
  timeoutMs: 30_000,
  maxAttempts: 1,
  backoff: 'none',
  initialDelayMs: 0,
  maxDelayMs: 60_000,
  retryOn: ['timeout', 'connection', 'rate_limited', 'transient'],
  fallback: [],
};
