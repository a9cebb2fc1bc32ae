import type { ExecutorDriver } from './types.js';

/** Does nothing and answers what the definition says. */
export const noop: ExecutorDriver<'noop'> = {
  kind: 'noop',
  build: (executor) => ({ status: 'built', call: { kind: 'noop', output: executor.output } }),
  run: (call) =>
    Promise.resolve({ status: 'succeeded', output: call.output, response: call.output, evidence: [] }),
};
