export {
  makeChecker,
  type Asker,
  type CheckResult,
  type Checker,
  type CompilePublished,
  type Unchecked,
} from './checker/checker.js';
export { checkFlowText, type CompiledFlow, type FlowCheck } from './checker/check-text.js';
export type { Catalog, CompiledTool } from './compile/context.js';
export { loadFolder, type FolderResult, type LoadedFolder } from './folder/folder.js';
export { findingCodes, findings, helpOf, type FindingCode } from './text/findings.js';
export type { Finding, Problem } from './text/problems.js';
export type { FolderLoad, ReadyFolder } from './folder/published.js';
export type { ReadyCheck, ReadyFlow } from './folder/ready.js';
export { linesOfGates } from './reachability/places.js';
export { formerEnvironments, formerQueues, knownQueues } from './compile/policy-set.js';
export { referenceOwner, unsetWarnings, type ReferencePlace } from './check/references.js';
export { queuesNamedAlone, findRemoved, type PolicyState, type Removed } from './folder/removed.js';
