import { newId } from '../../model/names/ids.js';
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
  /** Resolves once the facts are durable. Concurrent calls share a transaction. */
  append(facts: readonly ServiceFact[]): Promise<void>;
  /** Appends in the caller's transaction. It locks this process's chain until that ends, so call it last. */
  appendIn(tx: Tx, facts: readonly ServiceFact[]): Promise<void>;
}

interface Waiting {
  readonly facts: readonly ServiceFact[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const largestBatch = 200;

/** Makes the chain of this process, built like that of a run. */
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
      facts.map((fact) => toPlaced(id, fact)),
    );
  };
  const write = (batch: readonly Waiting[]): Promise<void> =>
    withTransaction(pool, (tx) =>
      appendIn(
        tx,
        batch.flatMap((request) => request.facts),
      ),
    );
  const flush = async (): Promise<void> => {
    writing = true;
    while (waiting.length > 0) await writeEach(waiting.splice(0, largestBatch), write);
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

/** Writes the batch; if that fails, writes each request alone, so that one caller's mistake fails no other caller. */
async function writeEach(
  batch: readonly Waiting[],
  write: (batch: readonly Waiting[]) => Promise<void>,
): Promise<void> {
  try {
    await write(batch);
    batch.forEach((request) => request.resolve());
  } catch (error) {
    const [only] = batch;
    if (batch.length === 1 && only !== undefined) return retryOnce(only, error, write);
    for (const request of batch) await writeEach([request], write);
  }
}

const uniqueViolation = '23505';

/** Tries again when another process has written the same record meanwhile: it is then known, or conflicts with this fact. */
async function retryOnce(
  request: Waiting,
  error: unknown,
  write: (batch: readonly Waiting[]) => Promise<void>,
): Promise<void> {
  if (!(error instanceof Error && 'code' in error && error.code === uniqueViolation))
    return request.reject(error);
  await write([request]).then(request.resolve, request.reject);
}

function toPlaced(
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
