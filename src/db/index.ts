export { assertAppendOnly } from './append-only.js';
export { listen, type Listener } from './listen.js';
export { migrate, type Migrated } from './migrate.js';
export { isUnavailable, makePool, withTransaction, type Pool, type Queryable, type Tx } from './pool.js';
