export { makeAnonymous, type Anonymous } from './anonymous.js';
export type { ApiDeps, Engines } from './deps.js';
export { makeFeed, type Feed } from './feed.js';
export { makeMetrics, type Metrics } from './metrics.js';
export { makeNotices, type Notices } from './notices.js';
export type { ReloadResult } from './loading.js';
export { makePolicies, type Policies } from './policies.js';
export { makeServer, routes } from './server.js';
