// Versions of the kernel. A history says with which it was begun, and its branches stay for as long as such histories are
// in service.

/** What a history is begun with. */
export const kernelVersion = 4;
export const oldestKernelVersion = 2;
/** From here on a history ends by its own length; an older one where the server suggests it (ADR 16). */
export const endsByLengthSince = 3;
/** From here on the kernel looks at the store when an outcome comes under the number of a step that it knows otherwise. */
export const looksAfterRestoreSince = 4;
