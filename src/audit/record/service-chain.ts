import { newId } from '../../model/ids.js';
import type { Fact } from '../../model/records.js';
import { withTransaction, type Pool, type Tx } from '../../db/index.js';
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
  /** Inside the caller's transaction, which holds this process's chain until it ends: call it last. */
  appendIn(tx: Tx, facts: readonly ServiceFact[]): Promise<void>;
}

interface Waiting {
  readonly facts: readonly ServiceFact[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const largestBatch = 200;

/** One chain for each process, built like a run's. */
export function makeServiceChain({
  pool,
  kind,
}: {
  readonly pool: Pool;
  readonly kind: 'api' | 'worker';
}): ServiceChain {
  const id = `${newId('svc')}_${kind}`;
  const waiting: Waiting[] = [];
  let writing = false;
  const appendIn = async (tx: Tx, facts: readonly ServiceFact[]): Promise<void> => {
    if (facts.length === 0) return;
    await appendChain(
      tx,
      { id, run: false, isFirst: false },
      facts.map((fact) => placed(id, fact)),
    );
  };
  const write = (batch: readonly Waiting[]): Promise<void> =>
    withTransaction(pool, (tx) =>
      appendIn(
        tx,
        batch.flatMap((one) => one.facts),
      ),
    );
  const flush = async (): Promise<void> => {
    writing = true;
    while (waiting.length > 0) await settle(waiting.splice(0, largestBatch), write);
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

/** One caller's mistake is not another's: where the batch fails on a fact, each is written alone. */
async function settle(
  batch: readonly Waiting[],
  write: (batch: readonly Waiting[]) => Promise<void>,
): Promise<void> {
  try {
    await write(batch);
    batch.forEach((one) => one.resolve());
  } catch (error) {
    const [only] = batch;
    if (batch.length === 1 && only !== undefined) return retryOnce(only, error, write);
    for (const one of batch) await settle([one], write);
  }
}

const uniqueViolation = '23505';

/** Another process wrote the same record about the same run meanwhile: then it is there, or is another fact. */
async function retryOnce(
  one: Waiting,
  error: unknown,
  write: (batch: readonly Waiting[]) => Promise<void>,
): Promise<void> {
  if (!(error instanceof Error && 'code' in error && error.code === uniqueViolation))
    return one.reject(error);
  await write([one]).then(one.resolve, one.reject);
}

function placed(
  chain: string,
  { about = '', flow = '', environment = '', traceId = '', ...fact }: ServiceFact,
): Placed {
  return {
    fact,
    place: {
      chain,
      run: '',
      about: about.replaceAll('\0', '\uFFFD'),
      environment,
      flow,
      planHash: '',
      traceId,
      workflowId: '',
      firstRunId: '',
    },
  };
}
