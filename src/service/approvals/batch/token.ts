import { createHmac, timingSafeEqual } from 'node:crypto';
import type { z } from 'zod';
import type * as api from '../../../model/contract/api.js';
import { canonical } from '../../../model/values/canonical.js';
import type { Caller } from '../../caller.js';

type Batch = Pick<z.output<typeof api.batchBody>, 'decisions' | 'mode' | 'token'>;

const lifeMs = 15 * 60_000;

/** The token that a dry run gives: it holds for exactly these decisions, in this order and mode, of this person. */
export function issueToken(
  caller: Caller,
  batch: Batch,
): { readonly token: string; readonly expiresAt: string } {
  const expires = caller.deps.now().getTime() + lifeMs;
  return {
    token: `${expires}.${computeMac(caller, batch, expires)}`,
    expiresAt: new Date(expires).toISOString(),
  };
}

export function isTokenValid(caller: Caller, batch: Batch): boolean {
  const [, expires, given = ''] = /^(\d{1,15})\.([\w-]{43})$/.exec(batch.token ?? '') ?? [];
  if (expires === undefined || Number(expires) < caller.deps.now().getTime()) return false;
  return timingSafeEqual(Buffer.from(given), Buffer.from(computeMac(caller, batch, Number(expires))));
}

function computeMac(caller: Caller, { decisions, mode }: Batch, expires: number): string {
  const { id, actedBy = null } = caller.principal;
  const over = decisions.map(({ approval, decision, digest = '', reason = '' }) => [
    approval.toWellFormed(),
    decision,
    digest.toWellFormed(),
    reason.toWellFormed(),
  ]);
  return createHmac('sha256', caller.deps.pepper)
    .update('countersign batch dry run\n')
    .update(canonical([id, actedBy, mode, expires, over]))
    .digest('base64url');
}
