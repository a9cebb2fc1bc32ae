export { canonical } from '../model/canonical.js';
export { decide, initialRun } from './decide.js';
export { bindingDigest, connectionsDigest, shownDigest } from './action.js';
export { changedReads, readsOf, readsProblem } from './reads.js';
export { mayDecide, type MayDecide } from './gates.js';
export { evaluateGuard, verdictOf } from './guards.js';
export { links } from './links.js';
