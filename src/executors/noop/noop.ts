import type { ExecutorDriver } from '../types.js';

/** Does nothing and answers what the definition says. */
export const noop: ExecutorDriver<'noop'> = {
  kind: 'noop',
  run: (call) =>
    Promise.resolve({ status: 'succeeded', output: call.output, response: call.output, evidence: [] }),
};
