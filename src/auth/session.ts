import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { seal, unseal } from '../model/sealing.js';

// A browser's session is the sealed credential itself. Every request authenticates with that credential anew, so that revoking
// a key ends its sessions, and roles are always current.

export interface Session {
  readonly credential: string;
  /** Random; binds forms to this session. */
  readonly nonce: string;
}

export interface Sessions {
  /** An opaque text for a cookie, valid for `sessionSeconds`. */
  seal(credential: string): string;
  /** Null: not sealed here, changed, or expired. */
  open(sealed: string): Session | null;
  /** The token that a form carries to prove that it comes from a page of this session about exactly `about`. */
  formToken(session: Session, about: string): string;
  formTokenHolds(session: Session, about: string, given: string): boolean;
}

export const sessionSeconds = 900;

const sessionShape = z.strictObject({ credential: z.string(), nonce: z.string(), until: z.number() });

export function makeSessions(pepper: Buffer, now: () => Date): Sessions {
  const key = Buffer.from(hkdfSync('sha256', pepper, Buffer.alloc(0), 'countersign page sessions', 32));
  const formKey = hkdfSync('sha256', pepper, Buffer.alloc(0), 'countersign page forms', 32);
  const formToken = ({ nonce }: Session, about: string): string =>
    createHmac('sha256', Buffer.from(formKey)).update(`${nonce}\u0000${about}`, 'utf8').digest('base64url');
  return {
    seal(credential) {
      const until = now().getTime() + sessionSeconds * 1_000;
      const text = JSON.stringify({ credential, nonce: randomBytes(16).toString('base64url'), until });
      return seal(key, text).toString('base64url');
    },
    open(sealed) {
      const text = openText(key, sealed);
      const parsed = text === null ? null : sessionShape.safeParse(JSON.parse(text));
      if (parsed?.success !== true || parsed.data.until <= now().getTime()) return null;
      return { credential: parsed.data.credential, nonce: parsed.data.nonce };
    },
    formToken,
    formTokenHolds(session, about, given) {
      const wanted = Buffer.from(formToken(session, about));
      const got = Buffer.from(given);
      return wanted.length === got.length && timingSafeEqual(wanted, got);
    },
  };
}

function openText(key: Buffer, sealed: string): string | null {
  const bytes = Buffer.from(sealed, 'base64url');
  if (bytes.length > 65_536) return null;
  try {
    return unseal(key, bytes).toString('utf8');
  } catch {
    return null;
  }
}
