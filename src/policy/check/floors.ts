import type { FloorEntry, PolicySet } from '../../model/policy-set.js';
import type { Compiling, Path } from '../compile/context.js';
import { assertDeclaredQueue, compileRules } from '../compile/gates.js';
import type { PolicyFile } from '../compile/policy-set.js';
import type { Reading } from '../folder/reading.js';
import { warnUnknownRoles } from './roles.js';
import type { FloorShape } from '../shape/shapes.js';

// Floors: the gates that environments put before effects, whatever the authors of flows wrote.

/** Every tier but `read_only`: what may change something, and what has no tier (`none`). */
const tiersWithEffect: FloorEntry['tiers'] = ['reversible', 'irreversible', 'none'];

/** The policy set with the gates of its environments. These name roles and queues, so both must be in the policy set already. */
export function withFloors(reading: Reading, files: readonly PolicyFile[], policySet: PolicySet): PolicySet {
  const found = new Map<string, readonly FloorEntry[]>();
  for (const { source, shape } of files) {
    // Warnings here belong to no flow and no tool: they are acknowledged at the top of the file.
    const { errors, fileWarnings: warnings } = reading;
    const to: Compiling = { source, catalog: { policySet, tools: [] }, errors, warnings };
    for (const [name, queue] of Object.entries(shape?.queues ?? {}))
      warnUnknownRoles(to, queue.roles, ['queues', name, 'roles']);
    for (const [name, declared] of Object.entries(shape?.environments ?? {}))
      found.set(
        name,
        (declared?.gates ?? []).map((gate, index) =>
          compileFloor(to, gate, ['environments', name, 'gates', index], declared?.gateTimeout !== undefined),
        ),
      );
  }
  const environments = policySet.environments.map((environment) => {
    const floors = found.get(environment.name) ?? [];
    return floors.length === 0 ? environment : { ...environment, floors };
  });
  return { ...policySet, environments };
}

function compileFloor(to: Compiling, shape: FloorShape, path: Path, hasDefault: boolean): FloorEntry {
  const tiers = [...new Set(shape.tiers ?? tiersWithEffect)];
  const roles = shape.roles ?? [];
  // A floor's queue must be declared: else whoever holds `approval.decide` would decide, as at a floor that names nobody.
  if (shape.queue !== undefined) assertDeclaredQueue(to, shape.queue, [...path, 'queue']);
  warnUnknownRoles(to, roles, [...path, 'roles']);
  // Time may approve reversible effects only, so a floor may say so only where it is for that tier alone.
  const tier = tiers.every((covered) => covered === 'reversible') ? 'reversible' : 'irreversible';
  return { tiers, roles, ...compileRules(to, shape, { path, tier, roles, hasDefault }) };
}
