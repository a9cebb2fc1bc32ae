import { makeKit as makeKitWith, type FlowPeople } from '../../schema/kit.js';
import type { Kit } from '../../engine/state.js';
import {
  canBeMade,
  isRead,
  locateProgram,
  whyTooLarge,
  withAddress,
  writtenHeaders,
} from '../../executors/index.js';
import type { Located } from '../../executors/types.js';
import type { Json } from '../../model/values/json.js';
import { resolveConnection, type Connection, type PolicySet } from '../../model/policy-set.js';
import { show } from './show.js';

export { queuesIn, sha256 } from '../../schema/kit.js';

/**
 * The kit of a simulation, and in addition: what the approver is shown, which needs executors; the addresses that this process
 * calls and the programs that it starts; and the rights that callers hold now.
 */
export function makeKit(
  policySet: PolicySet,
  environment: string,
  people: FlowPeople,
  rightsNow: Kit['rightsNow'],
): Kit {
  return makeKitWith(policySet, environment, people, {
    isRead,
    ...{ whyTooLarge, canBeMade },
    show: (transition, asking) =>
      show(transition, asking, (name) => writtenHeaders(policySet, name, environment)),
    standsFor: (connection, baseDirectory) => locateHere(connection, baseDirectory) as unknown as Json,
    rightsNow,
  });
}

/** What the kit's digest binds of a connection: its program and its folder are those of this machine, at this moment. */
function locateHere(connection: Connection, baseDirectory: string): Located {
  return locateProgram(withAddress(connection, process.env), baseDirectory);
}

/** The connection that a call uses, as the kit's digest binds it; null: the environment has none of that name. */
export function findUsedConnection(
  policySet: PolicySet,
  name: string,
  environment: string,
): Connection | null {
  const found = resolveConnection(policySet, name, environment);
  return found === null ? null : locateHere(found, policySet.baseDirectory).connection;
}
