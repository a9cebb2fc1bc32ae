import type { Charter, Gate, Tier } from '../engine/plan.js';
import { assertKnown, error, type Compiling, type Path } from './context.js';
import { compileGate } from './gates.js';
import type { AgentShape, GateShape } from './shapes.js';

export const emptyCharter: Charter = { read: [], execute: [], deny: [], unmapped: [] };

export interface CharterGates {
  readonly shapes: readonly GateShape[];
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
    compileGate(to, shape, gates.shapes.length === 1 ? gates.path : [...gates.path, index], {
      what: 'charter',
      bareNames: true,
      tier,
    }),
  );
}
