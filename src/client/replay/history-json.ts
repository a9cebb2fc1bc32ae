// Temporal's notation of a history as JSON. Its packages keep this private, so only this file imports it.
export { historyFromJSON, historyToJSON, type History } from '@temporalio/common/lib/proto-utils.js';
