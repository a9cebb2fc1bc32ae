export { makeAnonymous } from './http/anonymous.js';
export { makeBodyRoom } from './http/bodies/held-bodies.js';
export type { ApiDeps } from './deps.js';
export { makeMetrics } from './metrics/metrics.js';
export { makeServer, routes } from './http/server.js';
