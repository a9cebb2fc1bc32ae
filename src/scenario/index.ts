export { readCases, type Policies } from './read.js';
export { runCase } from './run.js';
export { clean, factLine, resultLines } from './show.js';
export type { Case, CaseResult } from './types.js';
export { untested } from './untested.js';
