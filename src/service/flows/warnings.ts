import { whyUnset } from '../../executors/connections/references.js';
import { referenceOwner, type ReferencePlace } from '../../policy/index.js';
import { liveWorkers } from '../../store/processes/workers.js';
import type { ServiceDeps } from '../deps.js';

/** How many are listed at most. */
const warningLimit = 50;

export interface Warning {
  readonly of: ReferencePlace['of'];
  readonly line: string;
}

type UnsetReference = Pick<ReferencePlace, 'of' | 'name' | 'environment' | 'reference'> & {
  readonly why: string;
};

/**
 * References that have no value in the process that would use them: of connections in a worker, of channels in this process.
 * The service goes on; whatever needs such a value is refused before it is sent.
 */
export async function findWarnings(deps: ServiceDeps): Promise<readonly Warning[]> {
  const [workers, ofChannels] = await Promise.all([liveWorkers(deps.pool), unsetOfChannels(deps)]);
  const ofConnections = workers.flatMap(({ unset }) =>
    unset.map((reference): UnsetReference => ({
      ...reference,
      of: 'connection',
      name: reference.connection,
    })),
  );
  const places = deps.policies.references();
  const all = [...ofConnections, ...ofChannels].map(({ of, ...rest }) => ({
    of,
    line: warningLine({ of, ...rest }, places),
  }));
  return [...new Map(all.map((warning) => [warning.line, warning])).values()];
}

/** For whoever operates the service: a line for each, with its name and place. */
export function warningLines(found: readonly Warning[]): readonly string[] {
  return found.slice(0, warningLimit).map((warning) => warning.line);
}

/** For anybody: how many of each kind. */
export function warningCounts(found: readonly Warning[]): readonly string[] {
  return (['connection', 'channel'] as const).flatMap((kind) => {
    const { length } = found.filter(({ of }) => of === kind);
    const what = length === 1 ? `1 reference of a ${kind} has` : `${length} references of ${kind}s have`;
    return length === 0
      ? []
      : [`${what} no value; without it nothing is sent: ask with a key that holds \`run.operate\` which`];
  });
}

async function unsetOfChannels({ policies, references }: ServiceDeps): Promise<UnsetReference[]> {
  const unset: UnsetReference[] = [];
  for (const place of policies.references()) {
    const why = place.of === 'channel' ? await whyUnset(place.reference, references) : null;
    if (why !== null) unset.push({ ...place, why });
  }
  return unset;
}

function warningLine(unset: UnsetReference, places: readonly ReferencePlace[]): string {
  const { of, name, environment, reference, why } = unset;
  const found = places.find(
    (place) =>
      place.of === of &&
      place.name === name &&
      place.environment === environment &&
      place.reference === reference,
  );
  const where = found === undefined ? '' : `${found.place.file ?? 'policies'}:${found.place.line}: `;
  return `${where}${referenceOwner(unset)}: ${why}; without it nothing is sent`;
}
