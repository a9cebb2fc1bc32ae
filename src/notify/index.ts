export { makeDeliverer, type DelivererDeps } from './deliverer.js';
