import type { IncomingMessage } from 'node:http';
import { noteView } from '../../service/approvals/seen.js';
import type { Approval } from '../../service/approvals/look.js';
import { callerOf, type Call } from './call.js';

/** Records that the caller has opened the approval, where the answer is for them to read. */
export async function noteOpened(call: Call, found: Approval): Promise<void> {
  if (isForReading(call.request)) await noteView(callerOf(call), found);
}

/** By these a browser says that nobody has asked for the page yet: it fetches it in case that somebody will, or for a small picture of it. */
const purposes = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'];

function isForReading({ method, headers }: IncomingMessage): boolean {
  return method !== 'HEAD' && purposes.every((name) => headers[name] === undefined);
}
