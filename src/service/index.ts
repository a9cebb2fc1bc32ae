export { makeFeed, type Feed } from './audit/feed.js';
export type { Caller } from './caller.js';
export type { Engines, ServiceDeps } from './deps.js';
export { makeNotices, type Notices } from './approvals/notices.js';
export type { ReloadResult } from './flows/loading.js';
export { makePolicies, type Policies } from './flows/policies.js';
