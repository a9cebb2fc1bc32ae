export { buildCall } from './build.js';
export { hasEffect, isRead, isRepeatable } from './effects.js';
export { canBeMade, describeCall, previewCalls, whyTooLarge, type SentWith } from './preview.js';
export { isExecutorAborted } from './answer/outcome.js';
export { pointerOf, type Place } from './answer/places.js';
export { withAddress, writtenHeaders } from './connections/address.js';
export { closeExecutors, locateProgram, runCall } from './run.js';
