import { whyUnset } from '../executors/references.js';
import { referenceOwner, type ReferencePlace } from '../policy/index.js';
import { liveWorkers } from '../store/workers.js';
import type { ApiDeps } from './deps.js';

/** More are not told at once. */
const most = 50;

type Unset = Pick<ReferencePlace, 'of' | 'name' | 'environment' | 'reference'> & { readonly why: string };

/**
 * References without a value where they would be used: those of connections in a worker, those of channels here. Nothing
 * stops for it; what needs one is refused before it is sent.
 */
export async function warnings(deps: ApiDeps): Promise<readonly string[]> {
  const [workers, ofChannels] = await Promise.all([liveWorkers(deps.pool), unsetOfChannels(deps)]);
  const ofConnections = workers.flatMap(({ unset }) =>
    unset.map((one): Unset => ({ ...one, of: 'connection', name: one.connection })),
  );
  const places = deps.policies.references();
  const lines = [...ofConnections, ...ofChannels].map((one) => line(one, places));
  return [...new Set(lines)].slice(0, most);
}

async function unsetOfChannels({ policies, references }: ApiDeps): Promise<Unset[]> {
  const unset: Unset[] = [];
  for (const one of policies.references()) {
    const why = one.of === 'channel' ? await whyUnset(one.reference, references) : null;
    if (why !== null) unset.push({ ...one, why });
  }
  return unset;
}

function line(unset: Unset, places: readonly ReferencePlace[]): string {
  const { of, name, environment, reference, why } = unset;
  const found = places.find(
    (one) =>
      one.of === of && one.name === name && one.environment === environment && one.reference === reference,
  );
  const where = found === undefined ? '' : `${found.place.file ?? 'policies'}:${found.place.line}: `;
  return `${where}${referenceOwner(unset)}: ${why}; without it nothing is sent`;
}
