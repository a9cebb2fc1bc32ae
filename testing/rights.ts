import type { Rights } from '../src/auth/index.js';

/** Of a caller whose credential nothing ends. */
export const lastingRights: Rights = { areStale: () => false, areSame: () => Promise.resolve(true) };
