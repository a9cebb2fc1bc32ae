export { AuditConflict, appendRun } from './record/append.js';
export { approvedDigests, namesSender, refusedMessages } from './read/approved.js';
export type { RunScope } from './record/envelope.js';
export {
  keptPayloads,
  makePayloads,
  PayloadKeyUnopened,
  PayloadsErased,
  type Payloads,
} from './record/payloads.js';
export { readEntry, readRecords, type AuditItem, type RecordFilter } from './read/read.js';
export { readShown } from './read/shown.js';
export { sequence } from './record/sequencer.js';
export { makeServiceChain, type ServiceChain, type ServiceFact } from './record/service-chain.js';
export { verifyChain } from './verify.js';
