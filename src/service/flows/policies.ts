import type { Json } from '../../model/values/json.js';
import type { PolicySet } from '../../model/policy-set.js';
import type { RecordActor } from '../../model/records.js';
import {
  makeChecker,
  type Asker,
  type Catalog,
  type ReadyCheck,
  type ReadyFlow,
  type ReferencePlace,
  type Unchecked,
} from '../../policy/index.js';
import { publishVersion } from '../../store/flows/flows.js';
import { cachePolicies } from '../../store/flows/cached.js';
import { lockPolicies, policySetHash } from '../../store/flows/policy.js';
import { keepResult } from '../../store/flows/publications.js';
import { load, type MayKeep, type PoliciesDeps, type ReloadResult, type StartResult } from './loading.js';
import type { KeptResult } from '../kept-result.js';
import { publishedFact } from './policy-facts.js';
import { publishIn, whyTooMany, type PublishedFlow } from './publish.js';
import { compiledOf } from './recompile.js';

/** Why the flow is not published: its principal has as many published flows, or bytes, as it may. */
interface TooMany {
  readonly tooMany: string;
}

export interface Policies {
  /** What single flows are compiled against: the same in every process, whichever process loaded it. */
  catalog(): Promise<Catalog>;
  policySet(): Promise<PolicySet | null>;
  /** Checks a flow against the catalog, in a thread of its own. */
  check(text: string, media: 'json' | 'yaml', asker: Asker): Promise<ReadyCheck | Unchecked>;
  /**
   * Loads everything in the folder, or nothing: on an error the policies stay as they were. `confirm`: the names that may
   * be taken away.
   */
  reload(
    by: RecordActor,
    traceId: string,
    confirm: readonly string[],
    mayKeep: MayKeep,
  ): Promise<ReloadResult>;
  /** The same when a process starts: what is gone from the folder is taken away without being asked, told and recorded. */
  start(by: RecordActor, traceId: string): Promise<StartResult>;
  /**
   * Publishes once for each `kept`. Null: other policies have come into force since the check, so the flow must be checked
   * again.
   */
  publish(
    flow: ReadyFlow,
    by: RecordActor,
    traceId: string,
    mayKeep: MayKeep,
    kept?: KeptResult<PublishedFlow>,
  ): Promise<PublishedFlow | TooMany | null>;
  /** The references to values outside the folder, as this process has read it last. */
  references(): readonly ReferencePlace[];
}

interface Current {
  readonly hash: string;
  readonly policySet: PolicySet;
  readonly catalog: Catalog;
}

export function makePolicies(deps: PoliciesDeps): Policies {
  let references: readonly ReferencePlace[] = [];
  const current = makeCurrent(deps);
  const { checker = makeChecker() } = deps;
  /** The policies that each checked flow was compiled against. */
  const compiledAgainst = new WeakMap<ReadyFlow, { readonly hash: string; readonly basis: string }>();
  const inForce = async (): Promise<Current> => {
    const found = await current();
    if (found === null) throw new Error('no policies are loaded');
    return found;
  };
  const loadFolder = (
    by: RecordActor,
    traceId: string,
    confirm: readonly string[] | null,
    mayKeep: MayKeep | null,
  ): Promise<ReloadResult> =>
    load(deps, checker, { by, traceId, confirm, mayKeep }, (loaded) => ({ references } = loaded));
  return {
    policySet: async () => (await current())?.policySet ?? null,
    catalog: async () => (await inForce()).catalog,
    check: async (text, media, asker) => {
      const { hash, catalog } = await inForce();
      const found = await checker.flow(text, media, catalog, asker);
      if (found.status === 'valid') compiledAgainst.set(found.flow, { hash, basis: found.basis });
      return found;
    },
    reload: (by, traceId, confirm, mayKeep) => loadFolder(by, traceId, confirm, mayKeep),
    start: async (by, traceId) => {
      const result = await loadFolder(by, traceId, null, null);
      if (result.status === 'loaded' || result.status === 'invalid') return result;
      throw new Error('the policies folder cannot be loaded: it takes more time or memory than it may');
    },
    publish: (flow, by, traceId, mayKeep, kept) =>
      deps.transaction(async (tx) => {
        await lockPolicies(tx);
        const earlier = (await kept?.earlier(tx)) ?? null;
        if (earlier !== null) return earlier;
        const against = compiledAgainst.get(flow);
        if (against === undefined || against.hash !== (await policySetHash(tx))) return null;
        const tooMany = await whyTooMany(tx, flow, by.id);
        if (tooMany !== null) return { tooMany };
        const made = await publishIn(tx, flow, by.id, publishVersion);
        const compiled = compiledOf({ status: 'valid', flow });
        await keepResult(tx, made, against.basis, compiled as unknown as Json);
        const fact = publishedFact(deps, made, { actor: by, permission: 'flow.publish' }, traceId);
        if (made.created) await deps.chain.appendIn(tx, [fact]);
        await kept?.keep(tx, made);
        await mayKeep(tx);
        return made;
      }),
    references: () => references,
  };
}

function makeCurrent({ pool }: PoliciesDeps): () => Promise<Current | null> {
  const inForce = cachePolicies();
  return async () => {
    const found = await inForce(pool);
    if (found === null) return null;
    const { policySet, catalog } = found.policies;
    return { hash: found.hash, policySet, catalog: catalog as Catalog };
  };
}
