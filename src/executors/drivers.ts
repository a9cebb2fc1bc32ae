// What each kind of executor does (`ExecutorDriver` of `types.ts`). What it is before anything is called stands in `kinds.ts`.

export { cli } from './cli/driver.js';
export { mcp } from './mcp/driver.js';
export { noop } from './noop/noop.js';
export { rest } from './rest/driver.js';
