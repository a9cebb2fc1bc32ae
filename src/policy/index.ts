export { makeChecker, type Asker, type Checker, type Unchecked } from './checker.js';
export { checkFlowText, type CompiledFlow, type FlowCheck } from './check-text.js';
export type { Catalog, CompiledTool } from './context.js';
export { loadFolder, type FolderResult, type LoadedFolder } from './folder.js';
export { findingCodes, findings, helpOf, type FindingCode } from './findings.js';
export type { Finding, Problem } from './problems.js';
export { linesOfGates } from './places.js';
export { formerQueues, knownQueues } from './policy-set.js';
export { queuesNamed, takenAway, type Held, type Removed } from './removed.js';
