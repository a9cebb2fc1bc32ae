import type { Rights } from '../src/auth/index.js';
import type { Caller } from '../src/service/caller.js';

/** Of a caller whose credential nothing ends. */
export const lastingRights: Rights = { areStale: () => false, areSame: () => Promise.resolve(true) };

/** Somebody who changes something, and whose rights nothing ends, in a process that goes on. */
export const changerOf = (id: string): Pick<Caller, 'principal' | 'rights' | 'stopping'> => ({
  principal: { id, kind: 'human', roles: [], permissions: [] },
  rights: lastingRights,
  stopping: new AbortController().signal,
});
