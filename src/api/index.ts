export { makeAnonymous, type Anonymous } from './http/anonymous.js';
export type { ApiDeps } from './deps.js';
export { makeMetrics, type Metrics } from './metrics/metrics.js';
export { makeServer, routes } from './http/server.js';
