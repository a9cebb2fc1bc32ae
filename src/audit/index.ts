export { AuditConflict, appendRun, type RunScope } from './append.js';
export { approvedDigests, refusedMessages } from './approved.js';
export { keptPayloads, makePayloads, type Payloads } from './payloads.js';
export { readEntry, readRecords, type AuditItem, type RecordFilter, type RecordPage } from './read.js';
export { sequence } from './sequencer.js';
export { makeServiceChain, type ServiceChain, type ServiceFact } from './service-chain.js';
export { verifyChain, type ChainReport } from './verify.js';
