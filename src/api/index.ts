export { makeAnonymous, type Anonymous } from './http/anonymous.js';
export type { ApiDeps, Engines } from './deps.js';
export { makeFeed, type Feed } from './runs/feed.js';
export { makeMetrics, type Metrics } from './metrics/metrics.js';
export { makeNotices, type Notices } from './approvals/notices.js';
export type { ReloadResult } from './flows/loading.js';
export { makePolicies, type Policies } from './flows/policies.js';
export { makeServer, routes } from './http/server.js';
