// Temporal's notation of a history as JSON, which its packages keep private: here alone.
export { historyFromJSON, historyToJSON, type History } from '@temporalio/common/lib/proto-utils.js';
