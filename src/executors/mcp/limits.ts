import { maxOutputBytes } from '../answer/outcome.js';

export const clientInfo = { name: 'countersign', version: '0.1.0' };

/** A message may contain a result twice, structured and as text; the result itself is limited to `maxOutputBytes` later. */
export const maxMessageBytes = 4 * maxOutputBytes;

/** How much a server may write for one call, and until the next. Over it, its session is ended. */
export const maxMessages = 10_000;
export const maxLines = 10 * maxMessages;
export const maxSessionBytes = 4 * maxMessageBytes;

/** Most messages of a JSON answer over HTTP, of which only one is the answer. */
export const maxBatch = 100;

/** Most replies and notifications of a session over HTTP that are under way at the same time. The others wait. */
export const maxReplies = 8;
/** Most that wait. Over it, the session is ended: each costs time when it ends. */
export const maxWaitingReplies = 1_000;
