import {
  asksPeople,
  type Executor,
  type Gate,
  type GateSource,
  type Guard,
  type Path as PathOperand,
  type Tier,
} from '../../engine/plan.js';
import { gatesOf, type Step } from '../../engine/gates/gates.js';
import { guardScopes } from '../../engine/expression/expression.js';
import { error, warn, type Compiling, type Path } from './context.js';
import { nearest } from '../text/problems.js';
import { warnUnknownRole, warnUnknownRoles } from '../check/roles.js';
import { compileTimeout } from './stages.js';
import type { GateShape } from '../shape/shapes.js';
import { compileExpression, compileGuard, compilePath } from './values.js';

// What an effect waits for.

/**
 * Where no file declares a queue, one is a label, as in seed 003, decided by whoever holds `approval.decide` or by the
 * gate's own roles. Where files do, another name is a slip that would open it to them all.
 */
export function assertQueue(to: Compiling, queue: string, path: Path, named: boolean): void {
  const names = to.catalog.policySet.queues.map((one) => one.name);
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

/** Of what an environment asks for a queue is never a label: it is declared, or does not load. */
export function assertDeclaredQueue(to: Compiling, queue: string, path: Path): void {
  const names = to.catalog.policySet.queues.map((one) => one.name);
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
  /** Of the transition or tool; none: the charter and the environment are one each. */
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
  const ends = compileEnd(to, shape.expiresWith, [...path, 'expiresWith']);
  const what = from.name === undefined ? from.source : `${from.source} ${from.name}`;
  return {
    on,
    ...compileRules(to, shape, { path, tier: from.tier, roles }),
    roles,
    ...(ends === null ? {} : { expiresWith: [ends] }),
    because: [`${what}: ${condition}`],
    // A tool's gate stands in the tool's file: the flow's own document has no place for it.
    origin: { source: from.source, path: from.source === 'tool' ? null : path },
  };
}

type Rules = Omit<Gate, 'on' | 'roles' | 'because' | 'origin' | 'expiresWith'>;

/** What a gate and an environment's floor have in common; fail-closed defaults. */
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
  const deciding = roles.length > 0 ? roles : queueRoles(to, shape.queue);
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

function compileEnd(to: Compiling, text: string | undefined, path: Path): PathOperand | null {
  return text === undefined ? null : compilePath(to, text, path, guardScopes, false);
}

/** Who decides where a gate names no role. */
function queueRoles(to: Compiling, queue: string | undefined): readonly string[] {
  return to.catalog.policySet.queues.find((one) => one.name === queue)?.roles ?? [];
}

/** The holders of each role that a quorum asks for may decide at this gate. */
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
 * The default gate applies, and says so: an author who means another one writes it. `gates` are its author's; one that keeps
 * the requester out, of its executor or its environment, is asked in its stead.
 */
export function warnUngated(
  to: Compiling,
  { executor, reliability, tier }: Omit<Step, 'gates'>,
  gates: readonly (Gate | null)[],
  path: Path,
  name: string,
): void {
  const others = gatesOf({ executor, reliability, tier, gates: [] }, { floors: to.floors ?? null });
  const isAnswered = others.some(({ separation }) => separation.requester);
  if (tier === 'irreversible' && gates.every((one) => one === null))
    warn(
      isAnswered ? { ...to, warnings: to.answered ?? [] } : to,
      'DEFAULT_GATE',
      path,
      `\`${name}\` is irreversible and has no gate of its own: one approval by somebody else is asked for`,
    );
}

/** A gate on a `human` executor that names nobody is for the executor's own people. */
export function withPeople(gate: Gate | null, executor: Executor | null): Gate | null {
  if (gate === null || !asksPeople(executor) || gate.roles.length > 0 || gate.queue !== null) return gate;
  const { roles, queue } = executor;
  return { ...gate, roles, queue };
}
