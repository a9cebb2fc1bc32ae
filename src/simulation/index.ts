export { readPrincipal } from './given.js';
export { plainPrincipals, principalsOf, readCases } from './read.js';
export { runCase } from './run.js';
export { resultLines } from './show/results.js';
export { stopLines } from './show/stops.js';
export { simulate } from './simulate.js';
export type { Case, CaseResult } from './types.js';
export { untested } from './untested.js';
