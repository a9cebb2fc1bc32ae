import { concerning, type Carried } from '../../engine/gates/concerning.js';
import type { Charter, Gate, Guard, Path as PathOperand, Tier } from '../../engine/plan.js';
import type { JsonObject } from '../../model/json.js';
import { assertKnown, error, maxProblems, warn, type Compiling, type Path } from './context.js';
import { compileGate } from './gates.js';
import { nearest } from '../text/problems.js';
import { declaredNames, declares, guardPaths, isClosed } from '../reachability/reads.js';
import type { AgentShape, GateShape } from '../shape/shapes.js';

export const emptyCharter: Charter = { read: [], execute: [], deny: [], unmapped: [] };

export interface CharterGates {
  readonly shapes: readonly GateShape[];
  /** Written as a list: each has an index in its path. */
  readonly listed: boolean;
  readonly path: Path;
}

export function gateList(gates: GateShape | readonly GateShape[] | undefined): readonly GateShape[] {
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
  const names = to.catalog.tools.map((one) => one.name);
  const known = new Set(names);
  const permitted = new Set([...(permissions.read ?? []), ...(permissions.execute ?? [])]);
  const tiers = new Map(to.catalog.tools.map((one) => [one.name, one.tier]));
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

/** What a charter's gate meets: a permitted tool, or an inline executor. */
export interface Gated {
  readonly name: string;
  readonly tier: Tier | null;
  readonly inputSchema: JsonObject | null;
}

/**
 * The charter's gates as they apply to one action. An action that declares the arguments that `on` reads gets it as it is
 * written. For another one, the comparisons of those arguments ask of the calls that bring one of them, where its schema
 * leaves its names open, and of none where it can take none; what else `on` says asks of every call.
 */
export function charterGates(to: Compiling, gates: CharterGates, gated: Gated): (Gate | null)[] {
  return gates.shapes.map((shape, index) => {
    const path = gates.listed ? [...gates.path, index] : gates.path;
    const gate = compileGate(to, shape, path, { source: 'charter', bareNames: true, tier: gated.tier });
    return gate === null ? null : concerned(to, gate, gated, path);
  });
}

function concerned(to: Compiling, gate: Gate, { name, inputSchema }: Gated, path: Path): Gate | null {
  const reads = gate.on === null ? [] : argumentsRead(gate.on);
  const foreign = reads.filter((one) => !declares(inputSchema, one));
  const [first] = foreign;
  if (gate.on === null || first === undefined) return gate;
  if (foreign.length < reads.length) {
    error(
      to,
      'UNDECLARED_ARGUMENT',
      [...path, 'on'],
      `\`${first.text}\` reads an argument that \`${name}\` does not declare, and it declares others of this gate: declare all of them`,
      'value',
      () => nearest(first.segments[0] ?? '', declaredNames(inputSchema)),
    );
    return gate;
  }
  const on = concerning(gate.on, (one) => carried(inputSchema, one));
  if (on !== null) return { ...gate, on };
  warn(
    to,
    'GATE_NOT_CONCERNED',
    [...path, 'on'],
    `\`${name}\` takes no \`${first.text}\`: the gate is not for it`,
  );
  return null;
}

function carried(schema: JsonObject | null, argument: PathOperand): Carried {
  if (declares(schema, argument)) return 'declared';
  return schema === null || isClosed(schema) ? 'never' : 'open';
}

function argumentsRead(on: Guard): readonly PathOperand[] {
  return guardPaths(on).filter((one) => one.scope === 'arguments' && one.segments.length > 0);
}

/** A charter's gates are right even where no action meets them, and read what one of its actions declares. */
export function checkCharterGates(to: Compiling, gates: CharterGates, gated: readonly Gated[]): void {
  for (const [index, shape] of gates.shapes.entries()) {
    const path = gates.listed ? [...gates.path, index] : gates.path;
    // Whether time may approve is a matter of each action's tier: asked where the gate meets it.
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
      if (gated.some((one) => declares(one.inputSchema, operand))) continue;
      error(
        to,
        'UNDECLARED_ARGUMENT',
        [...path, 'on'],
        `\`${operand.text}\` reads an argument that nothing under the charter declares`,
        'value',
        nearest(
          operand.segments[0] ?? '',
          gated.flatMap((one) => declaredNames(one.inputSchema)),
        ),
      );
    }
  }
}
