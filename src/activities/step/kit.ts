import { makeKit as makeKitWith, type FlowPeople } from '../../schema/kit.js';
import type { Kit } from '../../engine/state.js';
import { isRead, placed, withAddress, writtenHeaders } from '../../executors/index.js';
import type { Placed } from '../../executors/types.js';
import type { Json } from '../../model/json.js';
import { resolveConnection, type Connection, type PolicySet } from '../../model/policy-set.js';
import { show } from './show.js';

export { queuesIn, sha256 } from '../../schema/kit.js';

/**
 * The kit that a simulation decides with; with what the approver gets, since only here are there executors to say it,
 * with the addresses that this process calls and the programs that it starts, and with what callers hold now.
 */
export function makeKit(
  policySet: PolicySet,
  environment: string,
  people: FlowPeople,
  rightsNow: Kit['rightsNow'],
): Kit {
  return makeKitWith(policySet, environment, people, {
    isRead,
    show: (transition, asking) =>
      show(transition, asking, (name) => writtenHeaders(policySet, name, environment)),
    standsFor: (connection, baseDirectory) => placeHere(connection, baseDirectory) as unknown as Json,
    rightsNow,
  });
}

/** What the kit's digest names of a connection. A program or a folder is what it is on this machine, now. */
function placeHere(connection: Connection, baseDirectory: string): Placed {
  return placed(withAddress(connection, process.env), baseDirectory);
}

/** The connection that the kit's digest names: what a call uses. */
export function findUsedConnection(
  policySet: PolicySet,
  name: string,
  environment: string,
): Connection | null {
  const found = resolveConnection(policySet, name, environment);
  return found === null ? null : placeHere(found, policySet.baseDirectory).connection;
}
