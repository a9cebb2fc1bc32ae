import { noTimeMs } from '../../engine/gates/deadlines.js';
import type { GateTimeout, Tier } from '../../engine/plan.js';
import { error, warn, type Compiling, type Path } from './context.js';
import { warnUnknownRoles } from '../check/roles.js';
import type { TimeoutShape } from '../shape/shapes.js';

// What happens to a waiting gate as time passes, stage by stage: `timeout`.

interface StageContext {
  /** The path of the gate, or of the stage. */
  readonly path: Path;
  readonly tier: Tier | null;
  /** The roles that decide in this stage. */
  readonly deciding: readonly string[];
  /** The environment declares how long a gate without `timeout` waits, so there is no warning. */
  readonly hasDefault?: boolean;
}

export function compileTimeout(
  to: Compiling,
  shape: TimeoutShape | undefined,
  of: StageContext,
): GateTimeout | null {
  if (shape !== undefined) return compileStage(to, shape, { ...of, path: [...of.path, 'timeout'] });
  if (of.hasDefault === true) return null;
  warn(
    to,
    'GATE_WITHOUT_TIMEOUT',
    of.path,
    "the gate has no `timeout`: the environment's default applies, and then it denies",
  );
  return null;
}

function compileStage(
  to: Compiling,
  shape: TimeoutShape,
  { path, tier, deciding }: StageContext,
): GateTimeout {
  const action = shape.action ?? 'deny';
  const problem = stageProblem(shape, action, tier);
  if (problem !== null) error(to, 'GATE_TIMEOUT', [...path, ...problem.at], problem.message, problem.place);
  warnUnknownRoles(to, shape.to ?? [], [...path, 'to']);
  warnTimePassed(to, shape.at, path);
  warnAllHours(to, shape, deciding, path);
  const next = { path: [...path, 'then'], tier, deciding: [...deciding, ...(shape.to ?? [])] };
  return {
    afterMs: Math.max(shape.after ?? noTimeMs, 1),
    action,
    to: shape.to ?? [],
    ...(shape.at === undefined ? {} : { atMs: Date.parse(shape.at) }),
    ...(shape.hours === 'business' ? { hours: 'business' as const } : {}),
    ...(shape.then === undefined ? {} : { then: compileStage(to, shape.then, next) }),
  };
}

/** A warning, not an error: a folder that loaded yesterday loads today. A gate that opens now ends at once. */
function warnTimePassed(to: Compiling, at: string | undefined, path: Path): void {
  if (at === undefined || Date.parse(at) > Date.now()) return;
  warn(
    to,
    'TIME_PASSED',
    [...path, 'at'],
    `\`${at}\` has passed: a gate that opens from now on ends at once; write a later time, or \`after\``,
    'value',
  );
}

/** Business hours belong to roles: where no deciding role has any, all hours count. */
function warnAllHours(
  to: Compiling,
  { hours, after }: TimeoutShape,
  deciding: readonly string[],
  path: Path,
): void {
  if (hours !== 'business' || after === undefined) return;
  const kept = to.catalog.policySet.roles.filter((role) => role.hours !== undefined).map((role) => role.name);
  if (deciding.some((role) => kept.includes(role))) return;
  const who = deciding.length === 0 ? 'no role decides here' : `no file gives ${quoteNames(deciding)} any`;
  warn(
    to,
    'UNKNOWN_HOURS',
    [...path, 'hours'],
    `business hours are those of the roles that decide, and ${who}: all hours count; add \`hours\` to the role in roles.yaml`,
    'value',
  );
}

const quoteNames = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');

interface StageProblem {
  readonly at: readonly string[];
  readonly message: string;
  readonly place: 'key' | 'value';
}

function stageProblem(shape: TimeoutShape, action: string, tier: Tier | null): StageProblem | null {
  const say = (at: readonly string[], message: string, place: 'key' | 'value' = 'value'): StageProblem => ({
    at,
    message,
    place,
  });
  const { after, at, hours, then } = shape;
  if (after === undefined && at === undefined)
    return say([], 'a timeout says when: add `after: 8h` or `at: 2026-12-24T18:00:00+01:00`', 'key');
  if (hours !== undefined && after === undefined)
    return say(['hours'], '`hours` says how `after` is counted: add `after`, or remove `hours`', 'key');
  if (action === 'approve' && tier !== 'reversible')
    return say(['action'], 'only a `reversible` tool may be approved by time');
  if (action === 'escalate' && (shape.to ?? []).length === 0)
    return say([], 'an escalation names the roles that it goes to: add `to`');
  if (action !== 'escalate' && shape.to !== undefined)
    return say(['to'], 'only `action: escalate` goes to somebody: remove `to`', 'key');
  if (action !== 'escalate' && then !== undefined)
    return say(['then'], 'only an escalation has something after it: remove `then`', 'key');
  if (at !== undefined && then?.at !== undefined && Date.parse(then.at) <= Date.parse(at))
    return say(['then', 'at'], 'what follows an escalation ends after it: write a later time');
  return null;
}
