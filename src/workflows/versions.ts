// Versions of the kernel. A history names the version that it was begun with, and the branches for a version stay for as long as
// such histories are in service.

/** The version that new histories are begun with. */
export const kernelVersion = 5;
export const oldestKernelVersion = 2;
/** From this version on a history ends by its own length; an older history where the server suggests it (ADR 16). */
export const endsByLengthSince = 3;
/** From this version on the kernel looks at the store when an outcome comes with the number of another step that it knows. */
export const looksAfterRestoreSince = 4;
/** From this version on a step that waits for the store goes on waiting in the next history once this one is long, and the pauses between its tries grow beyond half a minute. */
export const waitsElsewhereSince = 5;
