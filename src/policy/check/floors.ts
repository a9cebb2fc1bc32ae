import type { FloorEntry, PolicySet } from '../../model/policy-set.js';
import type { Compiling, Path } from '../compile/context.js';
import { assertDeclaredQueue, compileRules } from '../compile/gates.js';
import type { PolicyFile } from '../compile/policy-set.js';
import type { Reading } from '../folder/reading.js';
import { warnUnknownRoles } from './roles.js';
import type { FloorShape } from '../shape/shapes.js';

// What environments ask for under effects, whatever their authors wrote.

/** Every tier but `read_only`: what may change something, and what nobody has judged. */
const tiersWithEffect: FloorEntry['tiers'] = ['reversible', 'irreversible', 'none'];

/** The policy set with its environments' gates: they name roles and queues, which are known by now; queues name roles. */
export function withFloors(reading: Reading, files: readonly PolicyFile[], policySet: PolicySet): PolicySet {
  const found = new Map<string, readonly FloorEntry[]>();
  for (const { source, shape } of files) {
    // They belong to no flow and no tool: the file acknowledges them.
    const { errors, together: warnings } = reading;
    const to: Compiling = { source, catalog: { policySet, tools: [] }, errors, warnings };
    for (const [name, one] of Object.entries(shape?.queues ?? {}))
      warnUnknownRoles(to, one.roles, ['queues', name, 'roles']);
    for (const [name, one] of Object.entries(shape?.environments ?? {}))
      found.set(
        name,
        (one?.gates ?? []).map((gate, index) =>
          compileFloor(to, gate, ['environments', name, 'gates', index], one?.gateTimeout !== undefined),
        ),
      );
  }
  const environments = policySet.environments.map((one) => {
    const floors = found.get(one.name) ?? [];
    return floors.length === 0 ? one : { ...one, floors };
  });
  return { ...policySet, environments };
}

function compileFloor(to: Compiling, shape: FloorShape, path: Path, hasDefault: boolean): FloorEntry {
  const tiers = [...new Set(shape.tiers ?? tiersWithEffect)];
  const roles = shape.roles ?? [];
  // No label: what an environment demands is not decided by whoever holds `approval.decide`, unless it says nobody.
  if (shape.queue !== undefined) assertDeclaredQueue(to, shape.queue, [...path, 'queue']);
  warnUnknownRoles(to, roles, [...path, 'roles']);
  // Time approves reversible effects only, so only a floor for those alone may say so.
  const tier = tiers.every((one) => one === 'reversible') ? 'reversible' : 'irreversible';
  return { tiers, roles, ...compileRules(to, shape, { path, tier, roles, hasDefault }) };
}
