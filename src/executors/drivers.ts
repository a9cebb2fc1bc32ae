// What each kind of executor does (`ExecutorDriver` of `types.ts`). What it is before anything is called stands in `table.ts`.

export { cli } from './cli/cli.js';
export { mcp } from './mcp/mcp.js';
export { noop } from './noop/noop.js';
export { rest } from './rest/rest.js';
