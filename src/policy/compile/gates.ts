import {
  asksPeople,
  type Executor,
  type Gate,
  type GateSource,
  type Guard,
  type Path as PathOperand,
  type Tier,
} from '../../engine/plan.js';
import { gatesOf, type GatedStep } from '../../engine/gates/gates.js';
import { guardScopes } from '../../engine/expression/expression.js';
import { error, warn, type Compiling, type Path } from './context.js';
import { nearest } from '../text/problems.js';
import { warnUnknownRole, warnUnknownRoles } from '../check/roles.js';
import { compileTimeout } from './stages.js';
import type { GateShape } from '../shape/shapes.js';
import { compileExpression, compileGuard, compilePath } from './values.js';

// Gates, and the rules that they share with floors.

/**
 * Where no file declares any queue, a queue is only a label, as in seed 003: the gate's own roles decide, or else whoever
 * holds `approval.decide`. Where files declare queues, any other name is an error: as a slip, it would let all of those decide.
 * `named`: the gate names roles.
 */
export function assertQueue(to: Compiling, queue: string, path: Path, named: boolean): void {
  const names = to.catalog.policySet.queues.map((entry) => entry.name);
  if (names.length > 0) return assertDeclaredQueue(to, queue, path);
  if (named) return;
  if (to.catalog.policySet.formerQueues?.includes(queue) === true)
    return warn(
      to,
      'UNKNOWN_QUEUE',
      path,
      `no file declares queue \`${queue}\` any more: nobody decides what waits in it, until one does`,
      'value',
    );
  warn(
    to,
    'UNKNOWN_QUEUE',
    path,
    `no file declares queue \`${queue}\`: humans with the permission \`approval.decide\` decide what waits in it`,
    'value',
    () => nearest(queue, names),
  );
}

/** For floors, and where files declare queues: the queue must be declared. */
export function assertDeclaredQueue(to: Compiling, queue: string, path: Path): void {
  const names = to.catalog.policySet.queues.map((entry) => entry.name);
  if (!names.includes(queue))
    error(
      to,
      'UNDECLARED_QUEUE',
      path,
      `queue \`${queue}\` is none of those that roles.yaml declares: declare it there, with its roles`,
      'value',
      () => nearest(queue, names),
    );
}

interface GateOrigin {
  readonly source: GateSource;
  /** The name of the transition or tool; a flow has a single charter, so its gates need none. */
  readonly name?: string;
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
  warnUnknownRoles(to, shape.roles ?? [], [...path, 'roles']);
  if (shape.approver_role !== undefined) warnUnknownRole(to, shape.approver_role, [...path, 'approver_role']);
  const on = shape.on === undefined ? null : compileOn(to, shape.on, [...path, 'on'], from.bareNames);
  const condition = typeof shape.on === 'string' ? shape.on : on === null ? 'always' : 'its condition';
  const ends = compileExpiry(to, shape.expiresWith, [...path, 'expiresWith']);
  const what = from.name === undefined ? from.source : `${from.source} ${from.name}`;
  return {
    on,
    ...compileRules(to, shape, { path, tier: from.tier, roles }),
    roles,
    ...(ends === null ? {} : { expiresWith: [ends] }),
    because: [`${what}: ${condition}`],
    // A tool's gate is written in the tool's file, so there is no path to it in the flow's document.
    origin: { source: from.source, path: from.source === 'tool' ? null : path },
  };
}

type Rules = Omit<Gate, 'on' | 'roles' | 'because' | 'origin' | 'expiresWith'>;

/** The rules that gates and floors have in common. Defaults fail closed. */
export function compileRules(
  to: Compiling,
  shape: Omit<GateShape, 'on' | 'roles' | 'approver_role' | 'expiresWith'>,
  {
    path,
    tier,
    roles,
    hasDefault = false,
  }: {
    readonly path: Path;
    readonly tier: Tier | null;
    readonly roles: readonly string[];
    readonly hasDefault?: boolean;
  },
): Rules {
  const { quorum, separation, reminders } = shape;
  const deciding = roles.length > 0 ? roles : rolesOfQueue(to, shape.queue);
  checkQuorum(to, Object.keys(quorum?.perRole ?? {}), deciding, [...path, 'quorum', 'perRole']);
  return {
    queue: shape.queue ?? null,
    quorum: {
      count: quorum?.count ?? 1,
      perRole: Object.entries(quorum?.perRole ?? {}).map(([role, count]) => ({ role, count })),
    },
    separation: {
      requester: separation?.requester ?? true,
      author: separation?.author ?? false,
      promoter: separation?.promoter ?? false,
      ...(separation?.approvers === true ? { approvers: true } : {}),
    },
    reason: shape.reason ?? 'optional',
    ...(shape.direct === 'required' ? { direct: 'required' as const } : {}),
    timeout: compileTimeout(to, shape.timeout, { path, tier, deciding, hasDefault }),
    ...(reminders === undefined ? {} : { reminders: [...new Set(reminders)].sort((a, b) => a - b) }),
  };
}

function compileExpiry(to: Compiling, text: string | undefined, path: Path): PathOperand | null {
  return text === undefined ? null : compilePath(to, text, path, guardScopes, false);
}

/** The roles that decide where a gate names a queue and no role. */
function rolesOfQueue(to: Compiling, queue: string | undefined): readonly string[] {
  return to.catalog.policySet.queues.find((entry) => entry.name === queue)?.roles ?? [];
}

/** Each role that a quorum asks for must be among those that may decide at this gate. */
function checkQuorum(to: Compiling, wanted: readonly string[], roles: readonly string[], path: Path): void {
  for (const role of wanted) {
    if (!roles.includes(role))
      error(
        to,
        'QUORUM_IMPOSSIBLE',
        [...path, role],
        `the quorum asks for the role \`${role}\`, by which nobody decides here: add it to \`roles\``,
        'key',
        () => nearest(role, roles),
      );
  }
}

function compileOn(to: Compiling, on: NonNullable<GateShape['on']>, path: Path, bareNames: boolean): Guard {
  return typeof on === 'string'
    ? compileExpression(to, on, path, bareNames)
    : compileGuard(to, on, path, bareNames);
}

/**
 * Warns where the default gate applies to an irreversible effect: its author may mean another gate. `gates` are those that
 * authors wrote. Where the executor or the environment asks for a gate that keeps the requester out, that gate applies instead,
 * and the warning is moot.
 */
export function warnUngated(
  to: Compiling,
  { executor, reliability, tier }: Omit<GatedStep, 'gates'>,
  gates: readonly (Gate | null)[],
  path: Path,
  name: string,
): void {
  const demanded = gatesOf({ executor, reliability, tier, gates: [] }, { floors: to.floors ?? null });
  const isAskedAnyway = demanded.some(({ separation }) => separation.requester);
  if (tier === 'irreversible' && gates.every((gate) => gate === null))
    warn(
      isAskedAnyway ? { ...to, warnings: to.moot ?? [] } : to,
      'DEFAULT_GATE',
      path,
      `\`${name}\` is irreversible and has no gate of its own: one approval by somebody else is asked for`,
    );
}

/** A gate on a `human` executor that names neither roles nor queue is for the people of the executor. */
export function withPeople(gate: Gate | null, executor: Executor | null): Gate | null {
  if (gate === null || !asksPeople(executor) || gate.roles.length > 0 || gate.queue !== null) return gate;
  const { roles, queue } = executor;
  return { ...gate, roles, queue };
}
