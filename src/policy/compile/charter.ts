import { narrowCondition, type Presence } from '../../engine/gates/concerning.js';
import type { Charter, Gate, Guard, Path as PathOperand, Tier } from '../../engine/plan.js';
import type { JsonObject } from '../../model/values/json.js';
import { assertKnown, error, maxProblems, warn, type Compiling, type Path } from './context.js';
import { compileGate } from './gates.js';
import { nearest } from '../text/problems.js';
import { declaredNames, declares, guardPaths, isClosed } from '../reachability/reads.js';
import type { AgentShape, GateShape } from '../shape/shapes.js';

export const emptyCharter: Charter = { read: [], execute: [], deny: [], unmapped: [] };

export interface CharterGates {
  readonly shapes: readonly GateShape[];
  /** They are written as a list, so each has an index in its path. */
  readonly listed: boolean;
  readonly path: Path;
}

export function toGateList(gates: GateShape | readonly GateShape[] | undefined): readonly GateShape[] {
  if (gates === undefined) return [];
  return Array.isArray(gates) ? (gates as readonly GateShape[]) : [gates as GateShape];
}

export function compileCharter(
  to: Compiling,
  permissions: AgentShape['permissions'] | undefined,
  path: Path,
): Charter | null {
  if (permissions === undefined) return null;
  const deny = permissions.deny ?? [];
  const names = to.catalog.tools.map((tool) => tool.name);
  const known = new Set(names);
  const permitted = new Set([...(permissions.read ?? []), ...(permissions.execute ?? [])]);
  const tiers = new Map(to.catalog.tools.map((tool) => [tool.name, tool.tier]));
  for (const [index, tool] of deny.entries()) {
    const near = known.has(tool) || to.warnings.length >= maxProblems ? undefined : nearest(tool, names);
    if (near !== undefined)
      warn(
        to,
        'UNKNOWN_DENIED_TOOL',
        [...path, 'deny', index],
        `no tool is named \`${tool}\`: did you mean \`${near}\`?`,
        'value',
      );
    if (permitted.has(tool))
      warn(
        to,
        'DENIED_AND_PERMITTED',
        [...path, 'deny', index],
        `\`${tool}\` is permitted too: the denial wins`,
        'value',
      );
  }
  for (const list of ['read', 'execute'] as const) {
    for (const [index, tool] of (permissions[list] ?? []).entries()) {
      const at = [...path, list, index];
      if (!assertKnown(to, 'UNKNOWN_TOOL', 'tool', tool, names, at)) continue;
      const tier = tiers.get(tool) ?? null;
      if (tier === null)
        error(
          to,
          'TIER_REQUIRED',
          at,
          `tool \`${tool}\` has no tier, so a charter cannot permit it: give it \`tier\``,
        );
      if (list === 'read' && tier !== null && tier !== 'read_only')
        error(to, 'TIER_MISMATCH', at, `tool \`${tool}\` is ${tier}: permit it under \`execute\``);
    }
  }
  return { read: permissions.read ?? [], execute: permissions.execute ?? [], deny, unmapped: [] };
}

/** An action under a charter's gates: a permitted tool, or an inline executor. */
export interface GatedAction {
  readonly name: string;
  readonly tier: Tier | null;
  readonly inputSchema: JsonObject | null;
}

/**
 * The charter's gates as they apply to an action; null for a gate that cannot apply to it. An action that declares the arguments
 * that `on` reads gets the gate as it is written. For any other action, the comparisons of those arguments apply to calls that
 * bring such an argument, where the action's schema leaves names open, and to no call where the action cannot take the argument.
 * What else `on` says applies to every call.
 */
export function compileCharterGates(to: Compiling, gates: CharterGates, gated: GatedAction): (Gate | null)[] {
  return gates.shapes.map((shape, index) => {
    const path = gates.listed ? [...gates.path, index] : gates.path;
    const gate = compileGate(to, shape, path, { source: 'charter', bareNames: true, tier: gated.tier });
    return gate === null ? null : narrowGate(to, gate, gated, path);
  });
}

function narrowGate(to: Compiling, gate: Gate, { name, inputSchema }: GatedAction, path: Path): Gate | null {
  const reads = gate.on === null ? [] : argumentsRead(gate.on);
  const foreign = reads.filter((read) => !declares(inputSchema, read));
  const [first] = foreign;
  if (gate.on === null || first === undefined) return gate;
  if (foreign.length < reads.length) {
    error(
      to,
      'UNDECLARED_ARGUMENT',
      [...path, 'on'],
      `\`${first.text}\` reads an argument that \`${name}\` does not declare, although it declares others that this gate reads: declare all of them`,
      'value',
      () => nearest(first.segments[0] ?? '', declaredNames(inputSchema)),
    );
    return gate;
  }
  const on = narrowCondition(gate.on, (read) => howCarried(inputSchema, read));
  if (on !== null) return { ...gate, on };
  warn(
    to,
    'GATE_NOT_CONCERNED',
    [...path, 'on'],
    `\`${name}\` takes no \`${first.text}\`: the gate is not for it`,
  );
  return null;
}

function howCarried(schema: JsonObject | null, argument: PathOperand): Presence {
  if (declares(schema, argument)) return 'declared';
  return schema === null || isClosed(schema) ? 'never' : 'open';
}

function argumentsRead(on: Guard): readonly PathOperand[] {
  return guardPaths(on).filter((read) => read.scope === 'arguments' && read.segments.length > 0);
}

/**
 * A charter's gates are compiled even where they apply to no action, so that mistakes in them are reported. An argument that they
 * read must be declared by an action under the charter.
 */
export function checkCharterGates(to: Compiling, gates: CharterGates, gated: readonly GatedAction[]): void {
  for (const [index, shape] of gates.shapes.entries()) {
    const path = gates.listed ? [...gates.path, index] : gates.path;
    // Whether time may approve depends on the tier of an action: it is checked where the gate is compiled for the action.
    const gate = compileGate(to, shape, path, { source: 'charter', bareNames: true, tier: 'reversible' });
    if (gated.length === 0)
      warn(
        to,
        'GATE_FOR_NOTHING',
        path,
        'nothing that the charter permits is executed: the gate waits for nothing',
      );
    const on = gate?.on ?? null;
    for (const operand of on === null || gated.length === 0 ? [] : argumentsRead(on)) {
      if (gated.some((action) => declares(action.inputSchema, operand))) continue;
      error(
        to,
        'UNDECLARED_ARGUMENT',
        [...path, 'on'],
        `\`${operand.text}\` reads an argument that nothing under the charter declares`,
        'value',
        nearest(
          operand.segments[0] ?? '',
          gated.flatMap((action) => declaredNames(action.inputSchema)),
        ),
      );
    }
  }
}
