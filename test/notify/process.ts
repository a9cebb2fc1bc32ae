// A process that delivers and nothing else: the test ends it with SIGKILL. Arguments: database URL.
import { makeServiceChain } from '../../src/audit/index.js';
import { isUnavailable, makePool, withTransaction } from '../../src/db/index.js';
import { makeDeliverer } from '../../src/notify/index.js';
import { getApproval } from '../../src/store/approvals/approvals.js';
import { currentPolicySet } from '../../src/store/flows/policy.js';

const pool = makePool({ url: process.argv[2] ?? '', applicationName: 'test deliverer', max: 5 });
makeDeliverer({
  pool,
  transaction: (fn) => withTransaction(pool, fn),
  isUnavailable,
  chain: makeServiceChain({ pool, kind: 'api' }),
  policy: async () => (await currentPolicySet(pool))?.notifications ?? null,
  body: async (id) => {
    const row = await getApproval(pool, id);
    return row === null ? null : { status: row.status, flow: row.flow, environment: row.environment };
  },
  link: () => Promise.resolve(null),
  references: { env: process.env, secretsDirectory: null },
  webhookKey: { published: '', sign: (bytes) => bytes },
  now: () => new Date(),
  observe: () => undefined,
  onInternalError: (what, error) => void process.stderr.write(`${what}: ${String(error)}\n`),
}).start();
// Its timers do not hold a process; this one stays until it is killed.
setInterval(() => undefined, 60_000);
