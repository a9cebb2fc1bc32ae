import { whyUnset } from '../../executors/connections/references.js';
import { referenceOwner, type ReferencePlace } from '../../policy/index.js';
import { liveWorkers } from '../../store/workers.js';
import type { ServiceDeps } from '../deps.js';

/** More are not told at once. */
const most = 50;

export interface Warning {
  readonly of: ReferencePlace['of'];
  readonly line: string;
}

type Unset = Pick<ReferencePlace, 'of' | 'name' | 'environment' | 'reference'> & { readonly why: string };

/**
 * References without a value where they would be used: those of connections in a worker, those of channels here. Nothing
 * stops for it; what needs one is refused before it is sent.
 */
export async function warnings(deps: ServiceDeps): Promise<readonly Warning[]> {
  const [workers, ofChannels] = await Promise.all([liveWorkers(deps.pool), unsetOfChannels(deps)]);
  const ofConnections = workers.flatMap(({ unset }) =>
    unset.map((one): Unset => ({ ...one, of: 'connection', name: one.connection })),
  );
  const places = deps.policies.references();
  const all = [...ofConnections, ...ofChannels].map(({ of, ...one }) => ({
    of,
    line: line({ of, ...one }, places),
  }));
  return [...new Map(all.map((one) => [one.line, one])).values()];
}

/** For who operates the service: each with its name and its place. */
export function inWords(found: readonly Warning[]): readonly string[] {
  return found.slice(0, most).map((one) => one.line);
}

/** For anybody: how many, of what kind. */
export function inNumbers(found: readonly Warning[]): readonly string[] {
  return (['connection', 'channel'] as const).flatMap((kind) => {
    const { length } = found.filter(({ of }) => of === kind);
    const what = length === 1 ? `1 reference of a ${kind} has` : `${length} references of ${kind}s have`;
    return length === 0
      ? []
      : [`${what} no value; without it nothing is sent: ask with a key that holds \`run.operate\` which`];
  });
}

async function unsetOfChannels({ policies, references }: ServiceDeps): Promise<Unset[]> {
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
