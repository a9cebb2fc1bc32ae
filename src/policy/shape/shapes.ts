// The shape of every policy file. Unknown keys are errors everywhere; what a value means is compiled later.

export * from './actions.js';
export { nameShape } from './basics.js';
export * from './flows.js';
export * from './folder.js';
export * from './gates.js';
export * from './notifications.js';
