// What each kind of executor is (`kind.ts`). A new kind needs a folder, a line here, and a line in `drivers.ts`.

export { cli } from './cli/kind.js';
export { mcp } from './mcp/kind.js';
export { noop } from './noop/kind.js';
export { rest } from './rest/kind.js';
