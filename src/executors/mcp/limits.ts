import { maxOutputBytes } from '../answer/outcome.js';

export const clientInfo = { name: 'countersign', version: '0.1.0' };

/** A result may come twice in one message, structured and as text; the result itself is capped after it. */
export const maxMessageBytes = 4 * maxOutputBytes;

/** How much a server may write for one call, and until the next: its session is ended over it. */
export const maxMessages = 10_000;
export const maxLines = 10 * maxMessages;
export const maxSessionBytes = 4 * maxMessageBytes;

/** Messages of one JSON answer over HTTP, of which one is asked for. */
export const maxBatch = 100;
