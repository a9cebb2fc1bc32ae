import { newId } from '../model/ids.js';
import type { Fact } from '../model/records.js';
import { withTransaction, type Pool, type Tx } from '../db/index.js';
import { appendChain, type Placed } from './append.js';

/** A fact that belongs to no open run: API calls, authentication, keys, flows, what comes after a run's end. */
export type ServiceFact = Fact & {
  readonly about?: string;
  readonly flow?: string;
  readonly environment?: string;
  readonly traceId?: string;
};

export interface ServiceChain {
  readonly id: string;
  /** Resolves once the facts are durable. Calls at the same time share one transaction. */
  append(facts: readonly ServiceFact[]): Promise<void>;
  /** Inside the caller's transaction. */
  appendIn(tx: Tx, facts: readonly ServiceFact[]): Promise<void>;
}

interface Waiting {
  readonly facts: readonly ServiceFact[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** One chain for each process, built like a run's. */
export function makeServiceChain({ pool, kind }: { readonly pool: Pool; readonly kind: 'api' | 'worker' }): ServiceChain {
  const id = `${newId('svc')}_${kind}`;
  let waiting: Waiting[] = [];
  let writing = false;
  const appendIn = async (tx: Tx, facts: readonly ServiceFact[]): Promise<void> => {
    await appendChain(tx, id, false, facts.map((fact) => placed(id, fact)));
  };
  const flush = async (): Promise<void> => {
    writing = true;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      const facts = batch.flatMap((one) => one.facts);
      await withTransaction(pool, (tx) => appendIn(tx, facts)).then(
        () => batch.forEach((one) => one.resolve()),
        (error: unknown) => batch.forEach((one) => one.reject(error)),
      );
    }
    writing = false;
  };
  return {
    id,
    appendIn,
    append: (facts) =>
      new Promise((resolve, reject) => {
        waiting.push({ facts, resolve, reject });
        if (!writing) void flush();
      }),
  };
}

function placed(chain: string, { about = '', flow = '', environment = '', traceId = '', ...fact }: ServiceFact): Placed {
  return { fact, place: { chain, run: '', about, environment, flow, planHash: '', traceId, workflowId: '', firstRunId: '' } };
}
