import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { z } from 'zod';

// A browser's session: the credential itself, sealed. Whoever opens it authenticates with what is inside, so that a
// revoked key ends its sessions, and roles are those of now.

export interface Session {
  readonly credential: string;
  /** Binds forms to this session. */
  readonly nonce: string;
}

export interface Sessions {
  /** Opaque text for a cookie; good for `sessionSeconds`. */
  seal(credential: string): string;
  /** Null: not one of ours, changed, or over. */
  open(sealed: string): Session | null;
  /** What a form carries to show that it came from a page of this session, about exactly this. */
  formToken(session: Session, about: string): string;
  formTokenHolds(session: Session, about: string, given: string): boolean;
}

export const sessionSeconds = 900;

const inside = z.strictObject({ credential: z.string(), nonce: z.string(), until: z.number() });

export function makeSessions(pepper: Buffer, now: () => Date): Sessions {
  const key = Buffer.from(hkdfSync('sha256', pepper, Buffer.alloc(0), 'countersign page sessions', 32));
  const formKey = hkdfSync('sha256', pepper, Buffer.alloc(0), 'countersign page forms', 32);
  const formToken = ({ nonce }: Session, about: string): string =>
    createHmac('sha256', Buffer.from(formKey)).update(`${nonce}\u0000${about}`, 'utf8').digest('base64url');
  return {
    seal(credential) {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, iv);
      const until = now().getTime() + sessionSeconds * 1_000;
      const text = JSON.stringify({ credential, nonce: randomBytes(16).toString('base64url'), until });
      return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString(
        'base64url',
      );
    },
    open(sealed) {
      const text = unseal(key, sealed);
      const parsed = text === null ? null : inside.safeParse(JSON.parse(text));
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

function unseal(key: Buffer, sealed: string): string | null {
  const bytes = Buffer.from(sealed, 'base64url');
  if (bytes.length < 29 || bytes.length > 65_536) return null;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12));
    decipher.setAuthTag(bytes.subarray(-16));
    return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8');
  } catch {
    return null;
  }
}
