import { defaultReliability, type Executor, type Gate, type Guard, type Reliability, type Tier } from '../engine/plan.js';
import { strictest } from '../engine/gates.js';
import { assertKnown, error, warn, type CompiledTool, type Compiling, type Path } from './context.js';
import type { ExecutorShape, GateShape, ReliabilityShape, ToolShape } from './shapes.js';
import { compileEntries, compileExpression, compileGuard, compileGuards, compileMapping, compileTemplate, compileText } from './values.js';
import { compileSchema } from '../schema/index.js';
import type { JsonObject } from '../model/json.js';

// What performs an effect, how often it is tried, and what it waits for.

/** `reliability` and `idempotencyKey` may stand inside the executor or beside it, never in both places. */
export interface Beside {
  readonly reliability?: ReliabilityShape | undefined;
  readonly idempotencyKey?: boolean | undefined;
  readonly evidence?: string | undefined;
}

export interface CompiledExecutor {
  readonly executor: Executor;
  readonly reliability: Reliability;
  readonly evidence: string | null;
}

export function compileExecutor(to: Compiling, shape: ExecutorShape, beside: Beside, path: Path): CompiledExecutor {
  const inside: Beside = shape;
  for (const key of ['reliability', 'idempotencyKey', 'evidence'] as const) {
    if (inside[key] !== undefined && beside[key] !== undefined) error(to, 'BOTH_PLACES', [...path, key], `\`${key}\` stands inside the executor and beside it: keep one`, 'key');
  }
  const key = inside.idempotencyKey ?? beside.idempotencyKey ?? false;
  if (key && !('connection' in shape)) error(to, 'WRONG_VALUE', path, `an executor of kind \`${shape.kind}\` takes no \`idempotencyKey\``);
  const at = inside.reliability === undefined ? path.slice(0, -1) : path;
  const executor = bare(to, shape, key, path);
  const reliability = compileReliability(to, inside.reliability ?? beside.reliability, [...at, 'reliability']);
  if (reliability.maxAttempts > 1 && 'connection' in executor && !executor.idempotencyKey && !(executor.kind === 'rest' && (executor.method === 'GET' || executor.method === 'HEAD'))) {
    warn(to, 'RETRY_NOT_IDEMPOTENT', path, 'an effect without an `idempotencyKey` is retried: a lost answer then waits for a person');
  }
  return { executor, reliability, evidence: inside.evidence ?? beside.evidence ?? null };
}

function bare(to: Compiling, shape: ExecutorShape, idempotencyKey: boolean, path: Path): Executor {
  if ('connection' in shape) assertConnection(to, shape, path);
  switch (shape.kind) {
    case 'rest':
      return {
        kind: 'rest',
        connection: shape.connection,
        method: shape.method,
        path: compileText(to, shape.path, [...path, 'path']),
        query: compileEntries(to, shape.query, [...path, 'query']),
        headers: compileEntries(to, shape.headers, [...path, 'headers']),
        body: shape.body === undefined ? null : compileTemplate(to, shape.body, [...path, 'body']),
        idempotencyKey,
      };
    case 'mcp':
      return { kind: 'mcp', connection: shape.connection, tool: shape.tool, map: shape.map === undefined ? null : compileTemplate(to, shape.map, [...path, 'map']), idempotencyKey };
    case 'cli': {
      const args = (shape.args ?? []).map((one, index) => compileTemplate(to, typeof one === 'string' ? one : String(one), [...path, 'args', index]));
      return { kind: 'cli', connection: shape.connection, args, stdin: shape.stdin === undefined ? null : compileTemplate(to, shape.stdin, [...path, 'stdin']), idempotencyKey };
    }
    case 'human':
      if (shape.queue !== undefined) assertQueue(to, shape.queue, [...path, 'queue'], shape.roles !== undefined);
      return { kind: 'human', queue: shape.queue ?? null, roles: shape.roles ?? [] };
    case 'noop':
      return { kind: 'noop', output: shape.output ?? null };
  }
}

function assertConnection(to: Compiling, shape: Extract<ExecutorShape, { connection: string }>, path: Path): void {
  const { connections } = to.catalog.policySet;
  if (!assertKnown(to, 'UNKNOWN_CONNECTION', 'connection', shape.connection, connections.map((one) => one.name), [...path, 'connection'])) return;
  const kind = connections.find((one) => one.name === shape.connection)?.targets[0]?.connection.kind;
  if (kind !== undefined && kind !== shape.kind) error(to, 'CONNECTION_KIND', [...path, 'connection'], `connection \`${shape.connection}\` is of kind \`${kind}\`, and this executor of kind \`${shape.kind}\``);
}

/** In seed 003 a queue is a label: one that no file declares is decided by whoever holds `approval.decide`. */
function assertQueue(to: Compiling, queue: string, path: Path, named: boolean): void {
  if (named || to.catalog.policySet.queues.some((one) => one.name === queue)) return;
  warn(to, 'UNKNOWN_QUEUE', path, `no file declares queue \`${queue}\`: humans with the permission \`approval.decide\` decide what waits in it`, 'value');
}

function compileReliability(to: Compiling, shape: ReliabilityShape | undefined, path: Path): Reliability {
  if (shape === undefined) return defaultReliability;
  if (shape.timeout !== undefined && shape.timeoutMs !== undefined) error(to, 'BOTH_PLACES', [...path, 'timeoutMs'], '`timeout` and `timeoutMs` say the same: keep one', 'key');
  const { retry } = shape;
  return {
    timeoutMs: Math.max(shape.timeout ?? shape.timeoutMs ?? defaultReliability.timeoutMs, 1),
    maxAttempts: retry?.maxAttempts ?? 1,
    backoff: retry?.backoff ?? (retry?.initialDelayMs === undefined ? 'none' : 'fixed'),
    initialDelayMs: retry?.initialDelayMs ?? (retry?.backoff === undefined || retry.backoff === 'none' ? 0 : 1_000),
    maxDelayMs: retry?.maxDelayMs ?? defaultReliability.maxDelayMs,
    retryOn: retry?.retryOn ?? defaultReliability.retryOn,
    fallback: (shape.fallback?.executors ?? []).map((one, index) => bare(to, one, 'idempotencyKey' in one ? (one.idempotencyKey ?? false) : false, [...path, 'fallback', 'executors', index])),
  };
}

export function compileGate(to: Compiling, shape: GateShape | undefined, path: Path, from: { readonly what: string; readonly bareNames: boolean; readonly tier: Tier | null }): Gate | null {
  if (shape === undefined) return null;
  if (shape.roles !== undefined && shape.approver_role !== undefined) error(to, 'BOTH_PLACES', [...path, 'approver_role'], '`roles` and `approver_role` say the same: keep one', 'key');
  if (shape.queue !== undefined) assertQueue(to, shape.queue, [...path, 'queue'], (shape.roles ?? shape.approver_role) !== undefined);
  if (shape.timeout === undefined) warn(to, 'GATE_WITHOUT_TIMEOUT', path, "the gate has no `timeout`: the environment's default applies, and then it denies");
  else if (shape.timeout.action === 'approve' && from.tier !== 'reversible') error(to, 'GATE_TIMEOUT', [...path, 'timeout', 'action'], 'only a `reversible` tool may be approved by time');
  else if (shape.timeout.action === 'escalate' && (shape.timeout.to ?? []).length === 0) error(to, 'GATE_TIMEOUT', [...path, 'timeout'], 'an escalation names the roles that it goes to: add `to`');
  const on = shape.on === undefined ? null : compileOn(to, shape.on, [...path, 'on'], from.bareNames);
  return {
    on,
    roles: shape.roles ?? (shape.approver_role === undefined ? [] : [shape.approver_role]),
    queue: shape.queue ?? null,
    quorum: { count: shape.quorum?.count ?? 1, perRole: Object.entries(shape.quorum?.perRole ?? {}).map(([role, count]) => ({ role, count })) },
    separation: { requester: shape.separation?.requester ?? true, author: shape.separation?.author ?? false, promoter: shape.separation?.promoter ?? false },
    reason: shape.reason ?? 'optional',
    timeout: shape.timeout === undefined ? null : { afterMs: Math.max(shape.timeout.after, 1), action: shape.timeout.action ?? 'deny', to: shape.timeout.to ?? [] },
    because: [`${from.what}: ${typeof shape.on === 'string' ? shape.on : on === null ? 'always' : 'its condition'} (line ${to.source.locate(path).line})`],
  };
}

function compileOn(to: Compiling, on: NonNullable<GateShape['on']>, path: Path, bareNames: boolean): Guard {
  return typeof on === 'string' ? compileExpression(to, on, path, bareNames) : compileGuard(to, on, path, bareNames);
}

const irreversibleGate: Gate = {
  on: null,
  roles: [],
  queue: null,
  quorum: { count: 1, perRole: [] },
  separation: { requester: true, author: false, promoter: false },
  reason: 'optional',
  timeout: null,
  because: ['the tool is irreversible'],
};

/** Several gates merge to the strictest; it applies when any of them does. */
export function mergeGates(gates: readonly (Gate | null)[], tier: Tier | null): Gate | null {
  const own = gates.filter((one) => one !== null);
  const all = tier === 'irreversible' ? [...own, irreversibleGate] : own;
  const [first, ...others] = all;
  if (first === undefined) return null;
  const conditions = all.map((one) => one.on);
  const on = conditions.some((one) => one === null) ? null : { kind: 'anyOf' as const, guards: conditions.filter((one) => one !== null) };
  const merged = others.reduce((a, b) => strictest(a, b), first);
  return { ...merged, on: others.length === 0 ? first.on : on };
}

export function checkSchema(to: Compiling, schema: JsonObject | undefined, path: Path): JsonObject | null {
  if (schema === undefined) return null;
  const compiled = compileSchema(schema);
  if (compiled.status === 'invalid') error(to, 'SCHEMA_INVALID', path, `the schema does not compile: ${compiled.message}`, 'key');
  return schema;
}

export function compileTool(to: Compiling, shape: ToolShape, path: Path): CompiledTool {
  const { executor, reliability, evidence } = compileExecutor(to, shape.executor, shape, [...path, 'executor']);
  return {
    name: shape.name,
    title: shape.title ?? shape.name,
    description: shape.description ?? null,
    tier: shape.tier ?? null,
    inputSchema: checkSchema(to, shape.inputSchema, [...path, 'inputSchema']),
    outputSchema: checkSchema(to, shape.outputSchema, [...path, 'outputSchema']),
    guards: compileGuards(to, shape.guards, [...path, 'guards']),
    gate: compileGate(to, shape.gate, [...path, 'gate'], { what: `tool ${shape.name}`, bareNames: true, tier: shape.tier ?? null }),
    executor,
    output: compileMapping(to, shape.output, [...path, 'output']),
    evidence,
    reliability,
  };
}
