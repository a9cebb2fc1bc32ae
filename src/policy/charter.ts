import type { Charter, Gate, Tier } from '../engine/plan.js';
import { assertKnown, error, warn, type Compiling, type Path } from './context.js';
import { compileGate } from './gates.js';
import { nearest } from './problems.js';
import { declaredNames, declares, guardPaths } from './reads.js';
import type { AgentShape, GateShape } from './shapes.js';

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
  for (const [index, tool] of deny.entries()) {
    const names = to.catalog.tools.map((one) => one.name);
    const near = names.includes(tool) ? undefined : nearest(tool, names);
    if (near !== undefined)
      warn(
        to,
        'UNKNOWN_TOOL',
        [...path, 'deny', index],
        `no tool is named \`${tool}\`: did you mean \`${near}\`?`,
        'value',
      );
    if ([...(permissions.read ?? []), ...(permissions.execute ?? [])].includes(tool))
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
      const names = to.catalog.tools.map((one) => one.name);
      if (!assertKnown(to, 'UNKNOWN_TOOL', 'tool', tool, names, at)) continue;
      const tier = to.catalog.tools.find((one) => one.name === tool)?.tier ?? null;
      if (tier === null)
        error(
          to,
          'TIER_MISSING',
          at,
          `tool \`${tool}\` has no tier, so a charter cannot permit it: give it \`tier\``,
        );
      if (list === 'read' && tier !== null && tier !== 'read_only')
        error(to, 'TIER_MISMATCH', at, `tool \`${tool}\` is ${tier}: permit it under \`execute\``);
    }
  }
  return { read: permissions.read ?? [], execute: permissions.execute ?? [], deny, unmapped: [] };
}

export function charterGates(to: Compiling, gates: CharterGates, tier: Tier | null): (Gate | null)[] {
  return gates.shapes.map((shape, index) =>
    compileGate(to, shape, gates.listed ? [...gates.path, index] : gates.path, {
      what: 'charter',
      bareNames: true,
      tier,
    }),
  );
}

/** A charter's gates are right even where no transition meets them, and read what some tool of theirs declares. */
export function checkCharterGates(to: Compiling, gates: CharterGates, execute: readonly string[]): void {
  const tools = to.catalog.tools.filter((one) => execute.includes(one.name));
  // Whether time may approve is a matter of each tool's tier: asked where the gate meets the tool.
  for (const [index, gate] of charterGates(to, gates, 'reversible').entries()) {
    if (gate === null || gate.on === null || tools.length === 0) continue;
    const path = gates.listed ? [...gates.path, index] : gates.path;
    for (const operand of guardPaths(gate.on)) {
      if (tools.some((tool) => declares(tool.inputSchema, operand))) continue;
      error(
        to,
        'UNDECLARED_ARGUMENT',
        [...path, 'on'],
        `\`${operand.text}\` reads an argument that no tool under \`execute\` declares`,
        'value',
        nearest(
          operand.segments[0] ?? '',
          tools.flatMap((tool) => declaredNames(tool.inputSchema)),
        ),
      );
    }
  }
}
