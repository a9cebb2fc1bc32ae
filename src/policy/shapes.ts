// The shape of every policy file. Unknown keys are errors everywhere; what a value means is compiled later.

export * from './shape-actions.js';
export { nameShape } from './shape-basics.js';
export * from './shape-flows.js';
export * from './shape-folder.js';
export * from './shape-gates.js';
export * from './shape-notifications.js';
