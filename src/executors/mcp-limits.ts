import { maxOutputBytes } from './outcome.js';

export const clientInfo = { name: 'countersign', version: '0.1.0' };

/** A result may come twice in one message, structured and as text; the result itself is capped after it. */
export const maxMessageBytes = 4 * maxOutputBytes;
