export { makeDeliverer, outcomes, type Deliverer, type DelivererDeps, type Outcome } from './deliverer.js';
export { mostAttempts, nextDelayMs } from './schedule.js';
export type { Around, Delivered, Notification, WebhookKey } from './types.js';
