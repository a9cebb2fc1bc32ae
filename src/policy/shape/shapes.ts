// The shapes of policy files. Unknown keys are errors everywhere. What values mean is compiled later.

export * from './actions.js';
export { nameShape } from './basics.js';
export * from './flows.js';
export * from './folder.js';
export * from './gates.js';
export * from './notifications.js';
