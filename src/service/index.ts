export { makeNotices } from './approvals/notices.js';
export { makeFeed, type Feed } from './audit/feed.js';
export type { Engines } from './deps.js';
export { makePolicies, type Policies } from './flows/policies.js';
