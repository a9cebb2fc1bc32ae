export { assertAppendOnly } from './append-only.js';
export { makeStoreClock, storeTime, type StoreClock } from './clock.js';
export { listen, type Listener } from './listen.js';
export { migrate, type Migrated } from './migrate.js';
export { makePool, onOneConnection, withTransaction, type PoolOptions } from './pool.js';
export { write } from './pipelined-connection.js';
export { settleTogether, together, valueOf } from './together.js';
export type { Pool, Queryable, Tx } from './types.js';
export { isUnavailable } from './unavailable.js';
