import { noteView } from '../../service/approvals/seen.js';
import type { Approval } from '../../service/approvals/look.js';
import { callerOf, type Call } from './call.js';

/** Records that the caller has opened the approval, where the answer is for them to read. */
export async function noteOpened(call: Call, found: Approval): Promise<void> {
  if (call.request.method !== 'HEAD' && !isFetchedAhead(call)) await noteView(callerOf(call), found);
}

/** The browser says that nobody has asked for it yet: it fetches it in case that somebody will. */
export function isFetchedAhead({ request: { headers } }: Call): boolean {
  const given = [headers['sec-purpose'], headers['purpose'], headers['x-purpose'], headers['x-moz']];
  return given.some((purpose) => /^(?:prefetch|preview)\b/i.test(String(purpose)));
}
