import type { ExecutorDriver } from '../types.js';
import type { Noop } from './kind.js';

/** Calls nothing; its output is what the definition says. */
export const noop: ExecutorDriver<Noop, null> = {
  kind: 'noop',
  run: ({ output }) => Promise.resolve({ status: 'succeeded', output, response: output, evidence: [] }),
};
