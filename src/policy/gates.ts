import { strictest } from '../engine/gates.js';
import type { Gate, Guard, Tier } from '../engine/plan.js';
import { error, warn, type Compiling, type Path } from './context.js';
import { nearest } from './problems.js';
import type { GateShape } from './shapes.js';
import { compileExpression, compileGuard } from './values.js';

// What an effect waits for.

/** In seed 003 a queue is a label: one that no file declares is decided by whoever holds `approval.decide`. */
export function assertQueue(to: Compiling, queue: string, path: Path, named: boolean): void {
  if (named || to.catalog.policySet.queues.some((one) => one.name === queue)) return;
  warn(
    to,
    'UNKNOWN_QUEUE',
    path,
    `no file declares queue \`${queue}\`: humans with the permission \`approval.decide\` decide what waits in it`,
    'value',
  );
}

interface GateOrigin {
  readonly what: string;
  readonly bareNames: boolean;
  readonly tier: Tier | null;
}

export function compileGate(
  to: Compiling,
  shape: GateShape | undefined,
  path: Path,
  from: GateOrigin,
): Gate | null {
  if (shape === undefined) return null;
  if (shape.roles !== undefined && shape.approver_role !== undefined)
    error(
      to,
      'BOTH_PLACES',
      [...path, 'approver_role'],
      '`roles` and `approver_role` say the same: keep one',
      'key',
    );
  const roles = shape.roles ?? (shape.approver_role === undefined ? [] : [shape.approver_role]);
  if (shape.queue !== undefined) assertQueue(to, shape.queue, [...path, 'queue'], roles.length > 0);
  warnUnknownRoles(to, roles, path);
  const perRole = Object.entries(shape.quorum?.perRole ?? {}).map(([role, count]) => ({ role, count }));
  checkQuorum(
    to,
    perRole.map((one) => one.role),
    roles,
    [...path, 'quorum', 'perRole'],
  );
  const on = shape.on === undefined ? null : compileOn(to, shape.on, [...path, 'on'], from.bareNames);
  const condition = typeof shape.on === 'string' ? shape.on : on === null ? 'always' : 'its condition';
  return {
    on,
    roles,
    queue: shape.queue ?? null,
    quorum: { count: shape.quorum?.count ?? 1, perRole },
    separation: {
      requester: shape.separation?.requester ?? true,
      author: shape.separation?.author ?? false,
      promoter: shape.separation?.promoter ?? false,
    },
    reason: shape.reason ?? 'optional',
    ...(shape.direct === 'required' ? { direct: 'required' as const } : {}),
    timeout: compileTimeout(to, shape.timeout, path, from.tier),
    because: [`${from.what}: ${condition}`],
  };
}

/** A role needs no declaration, as keys may hold any: one that is nearly a declared one is a slip. */
function warnUnknownRoles(to: Compiling, roles: readonly string[], path: Path): void {
  const declared = to.catalog.policySet.roles.map((one) => one.name);
  for (const role of roles) {
    const near = declared.includes(role) ? undefined : nearest(role, declared);
    if (near !== undefined)
      warn(to, 'UNKNOWN_ROLE', path, `no file declares the role \`${role}\`: did you mean \`${near}\`?`);
  }
}

/** The holders of each role that a quorum asks for may decide at this gate. */
function checkQuorum(to: Compiling, wanted: readonly string[], roles: readonly string[], path: Path): void {
  for (const role of wanted) {
    if (roles.length > 0 && !roles.includes(role))
      error(
        to,
        'QUORUM_IMPOSSIBLE',
        [...path, role],
        `the quorum asks for the role \`${role}\`, whose holders may not decide here: add it to \`roles\``,
        'key',
        nearest(role, roles),
      );
  }
}

function compileTimeout(
  to: Compiling,
  shape: GateShape['timeout'],
  path: Path,
  tier: Tier | null,
): Gate['timeout'] {
  if (shape === undefined) {
    warn(
      to,
      'GATE_WITHOUT_TIMEOUT',
      path,
      "the gate has no `timeout`: the environment's default applies, and then it denies",
    );
    return null;
  }
  const action = shape.action ?? 'deny';
  if (action === 'approve' && tier !== 'reversible')
    error(
      to,
      'GATE_TIMEOUT',
      [...path, 'timeout', 'action'],
      'only a `reversible` tool may be approved by time',
    );
  if (action === 'escalate' && (shape.to ?? []).length === 0)
    error(
      to,
      'GATE_TIMEOUT',
      [...path, 'timeout'],
      'an escalation names the roles that it goes to: add `to`',
    );
  if (action !== 'escalate' && shape.to !== undefined)
    error(
      to,
      'GATE_TIMEOUT',
      [...path, 'timeout', 'to'],
      'only `action: escalate` goes to somebody: remove `to`',
      'key',
    );
  return { afterMs: Math.max(shape.after, 1), action, to: shape.to ?? [] };
}

function compileOn(to: Compiling, on: NonNullable<GateShape['on']>, path: Path, bareNames: boolean): Guard {
  return typeof on === 'string'
    ? compileExpression(to, on, path, bareNames)
    : compileGuard(to, on, path, bareNames);
}

/** The default gate applies, and says so: an author who means another one writes it. */
export function warnUngated(
  to: Compiling,
  tier: Tier | null,
  gates: readonly (Gate | null)[],
  path: Path,
  name: string,
): void {
  if (tier === 'irreversible' && gates.every((one) => one === null))
    warn(
      to,
      'DEFAULT_GATE',
      path,
      `\`${name}\` is irreversible and has no gate of its own: one approval by somebody else is asked for`,
    );
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
  const on = conditions.some((one) => one === null)
    ? null
    : { kind: 'anyOf' as const, guards: conditions.filter((one) => one !== null) };
  const merged = others.reduce((a, b) => strictest(a, b), first);
  return { ...merged, on: others.length === 0 ? first.on : on };
}
