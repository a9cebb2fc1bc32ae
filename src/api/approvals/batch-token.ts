import { createHmac, timingSafeEqual } from 'node:crypto';
import type { z } from 'zod';
import type * as api from '../../model/api.js';
import { canonical } from '../../model/canonical.js';
import { principalOf, type Call } from '../http/call.js';

type Batch = Pick<z.output<typeof api.batchBody>, 'decisions' | 'mode' | 'token'>;

const lifeMs = 15 * 60_000;

/** Only a dry run gives it, for exactly these decisions, in this order and mode, of this person. */
export function issueToken(call: Call, batch: Batch): { readonly token: string; readonly expiresAt: string } {
  const expires = call.deps.now().getTime() + lifeMs;
  return { token: `${expires}.${mac(call, batch, expires)}`, expiresAt: new Date(expires).toISOString() };
}

export function tokenHolds(call: Call, batch: Batch): boolean {
  const [, expires, given = ''] = /^(\d{1,15})\.([\w-]{43})$/.exec(batch.token ?? '') ?? [];
  if (expires === undefined || Number(expires) < call.deps.now().getTime()) return false;
  return timingSafeEqual(Buffer.from(given), Buffer.from(mac(call, batch, Number(expires))));
}

function mac(call: Call, { decisions, mode }: Batch, expires: number): string {
  const { id, actedBy = null } = principalOf(call);
  const over = decisions.map(({ approval, decision, digest = '', reason = '' }) => [
    approval.toWellFormed(),
    decision,
    digest.toWellFormed(),
    reason.toWellFormed(),
  ]);
  return createHmac('sha256', call.deps.pepper)
    .update('countersign batch dry run\n')
    .update(canonical([id, actedBy, mode, expires, over]))
    .digest('base64url');
}
