export {
  makeChecker,
  type Asker,
  type Checked,
  type Checker,
  type Compile,
  type Unchecked,
} from './checker.js';
export { checkFlowText, type CompiledFlow, type FlowCheck } from './check-text.js';
export type { Catalog, CompiledTool } from './context.js';
export { loadFolder, type FolderResult, type LoadedFolder } from './folder.js';
export { findingCodes, findings, helpOf, type FindingCode } from './findings.js';
export type { Finding, Problem } from './problems.js';
export type { FolderLoad, ReadyFolder } from './published.js';
export type { ReadyCheck, ReadyFlow } from './ready.js';
export { linesOfGates } from './places.js';
export { formerEnvironments, formerQueues, knownQueues } from './policy-set.js';
export { referenceOwner, unsetWarnings, type ReferencePlace } from './references.js';
export { queuesNamed, takenAway, type Held, type Removed } from './removed.js';
