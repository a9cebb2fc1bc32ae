import {
  createRemoteJWKSet,
  decodeJwt,
  errors,
  jwtVerify,
  type CryptoKey,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
} from 'jose';
import { z } from 'zod';
import { isObject, type Json, type JsonObject } from '../model/values/json.js';
import { isReservedId, longestPrincipalId, principalKinds, type PrincipalKind } from '../model/principal.js';
import { nameTrouble, truncate } from '../model/values/text.js';

const loopback = new Set(['localhost', '127.0.0.1', '[::1]']);
/** Characters of an issuer's name. The name in a refused token, which anybody can make up, is cut to this on record. */
const longestIssuer = 300;

const jwksUri = z.url().refine((text) => {
  const url = new URL(text);
  return url.protocol === 'https:' || (url.protocol === 'http:' && loopback.has(url.hostname));
}, 'must be an https URL (http is for loopback only)');

const claim = z.string().min(1);
const issuerName = z
  .string()
  .min(1)
  .max(longestIssuer)
  .refine((text) => nameTrouble(text) === null, {
    error: ({ input }) => nameTrouble(String(input)) ?? 'is no name',
  });

/** An entry of COUNTERSIGN_JWT_ISSUERS. It has exactly one of `kind` and `kindClaim`, so that the operator says who is human. */
const issuerSchema = z
  .strictObject({
    /**
     * Any text, as `iss` may be (RFC 7519; Google's is `accounts.google.com` in some tokens). Several texts are names of one identity
     * provider, whose people are the same under each name.
     */
    issuer: z.preprocess((given) => [given].flat(), z.array(issuerName).min(1)),
    audience: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]),
    jwksUri,
    kind: z.enum(principalKinds).optional(),
    kindClaim: claim.optional(),
    /** Value of `kindClaim` to kind; by default the claim says `human`, `agent` or `system` itself. */
    kinds: z.record(z.string(), z.enum(principalKinds)).optional(),
    subjectClaim: claim.default('sub'),
    rolesClaim: claim.optional(),
    permissionsClaim: claim.optional(),
    /** Services that may act for this issuer's humans, by their `act.sub` (RFC 8693); without it no token may carry `act`. */
    actors: z.array(claim.max(longestPrincipalId)).optional(),
    /** Put before the subject, to keep the people of two issuers apart. */
    prefix: z.string().max(100).default(''),
  })
  .refine(
    (issuer) => (issuer.kind === undefined) !== (issuer.kindClaim === undefined),
    'give exactly one of `kind` and `kindClaim`',
  )
  .refine(
    (issuer) => issuer.kinds === undefined || issuer.kindClaim !== undefined,
    '`kinds` needs `kindClaim`',
  );
export type JwtIssuer = z.infer<typeof issuerSchema>;

/** Entries with the same prefix share their people, so an entry must list all issuers of that prefix as one identity provider. */
const issuersSchema = z.array(issuerSchema).superRefine((entries, context) => {
  for (const [index, { issuer, prefix }] of entries.entries()) {
    const sharing = entries.filter((entry) => entry.prefix === prefix).map((entry) => entry.issuer);
    const all = sharing.flat();
    if (sharing.some((names) => all.every((name) => names.includes(name)))) continue;
    const other = all.find((name) => !issuer.includes(name)) ?? '';
    const message = `issuers \`${issuer[0] ?? ''}\` and \`${other}\` need a \`prefix\` each, or one's subjects could pass for the other's; where both name the same people, list both as the \`issuer\` of one entry`;
    context.addIssue({ code: 'custom', path: [index, 'prefix'], message });
    return;
  }
});

/** Throws an error that names each wrong setting: a service whose issuers are half configured does not start. */
export function parseJwtIssuers(value: unknown): readonly JwtIssuer[] {
  const parsed = issuersSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Error(`COUNTERSIGN_JWT_ISSUERS: ${issues.join('; ')}`);
}

export interface JwtIdentity {
  readonly id: string;
  readonly kind: PrincipalKind;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly actedBy?: string;
}

type JwtResult =
  | { readonly status: 'ok'; readonly identity: JwtIdentity }
  /** `issuer`: the unknown issuer that the token names. Nothing has verified this name. */
  | { readonly status: 'refused'; readonly reason: string; readonly issuer?: string };

export type JwtVerifier = (token: string) => Promise<JwtResult>;

/** Key pairs only: everybody who holds a shared secret could sign as anybody. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

export function makeJwtVerifier(
  issuers: readonly JwtIssuer[],
  now: () => Date,
  keysOf = remoteKeys,
): JwtVerifier {
  const known = issuers.map((issuer) => ({ issuer, keys: keysOf(issuer.jwksUri) }));
  return async (token) => {
    const named = issuerOf(token);
    if (named === null) return { status: 'refused', reason: 'unknown_issuer' };
    const candidates = known.filter(({ issuer }) => issuer.issuer.includes(named));
    if (candidates.length === 0)
      return { status: 'refused', reason: 'unknown_issuer', issuer: truncate(named, longestIssuer) };
    let reason = 'invalid_token';
    for (const { issuer, keys } of candidates) {
      const result = await verifyWith(token, issuer, keys, now());
      if (result.status === 'ok') return result;
      reason = result.reason;
    }
    return { status: 'refused', reason };
  };
}

function remoteKeys(uri: string): JWTVerifyGetKey {
  return createRemoteJWKSet(new URL(uri), { timeoutDuration: 5_000, cooldownDuration: 5_000 });
}

function issuerOf(token: string): string | null {
  try {
    const named: unknown = decodeJwt(token).iss;
    return typeof named === 'string' ? named : null;
  } catch {
    return null;
  }
}

async function verifyWith(
  token: string,
  issuer: JwtIssuer,
  keys: JWTVerifyGetKey,
  currentDate: Date,
): Promise<JwtResult> {
  try {
    const payload = await verifyWithKeys(token, keys, {
      issuer: issuer.issuer,
      audience: issuer.audience,
      algorithms,
      currentDate,
      clockTolerance: 30,
      requiredClaims: ['exp'],
    });
    return identityOf(issuer, payload);
  } catch (error) {
    if (error instanceof errors.JWTExpired) return { status: 'refused', reason: 'expired_token' };
    if (error instanceof errors.JWTClaimValidationFailed) return { status: 'refused', reason: 'wrong_claim' };
    if (error instanceof errors.JWKSTimeout || error instanceof TypeError)
      return { status: 'refused', reason: 'issuer_unreachable' };
    return { status: 'refused', reason: 'invalid_token' };
  }
}

/** Tries each key that could have signed the token, since a token need not name its key (`kid`). */
async function verifyWithKeys(
  token: string,
  keys: JWTVerifyGetKey,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      const payload = await verifyWithKey(token, key, options);
      if (payload !== null) return payload;
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** Null: another key signed the token, or this key may not be used to verify (RSA under 2,048 bits). */
async function verifyWithKey(
  token: string,
  key: CryptoKey,
  options: JWTVerifyOptions,
): Promise<JWTPayload | null> {
  try {
    return (await jwtVerify(token, key, options)).payload;
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof TypeError) return null;
    throw error;
  }
}

function identityOf(issuer: JwtIssuer, payload: JWTPayload): JwtResult {
  const claims = payload as JsonObject;
  const subject = claimAt(claims, issuer.subjectClaim);
  if (typeof subject !== 'string' || subject === '') return { status: 'refused', reason: 'no_subject' };
  if (issuer.prefix.length + subject.length > longestPrincipalId)
    return { status: 'refused', reason: 'subject_too_long' };
  if (nameTrouble(subject) !== null) return { status: 'refused', reason: 'unclear_subject' };
  const id = `${issuer.prefix}${subject}`;
  if (isReservedId(id)) return { status: 'refused', reason: 'reserved_subject' };
  const kind = kindOf(issuer, claims);
  if (kind === null) return { status: 'refused', reason: 'no_kind' };
  const roles = namesIn(claimAt(claims, issuer.rolesClaim));
  const scopes = claimAt(claims, issuer.permissionsClaim);
  // OAuth writes scopes as one text with spaces. Roles are not split: the name of a role may hold a space.
  const permissions = namesIn(typeof scopes === 'string' ? scopes.split(' ') : scopes);
  const identity = { id, kind, roles, permissions };
  if (!Object.hasOwn(claims, 'act')) return { status: 'ok', identity };
  const actor = actorOf(issuer, claims['act']);
  if (actor === null) return { status: 'refused', reason: 'actor_not_allowed' };
  if (kind !== 'human') return { status: 'refused', reason: 'actor_without_human' };
  return { status: 'ok', identity: { ...identity, actedBy: actor } };
}

/** The service that acts for the human; null where it may not. A chain of actors is refused, since it would hide who acted. */
function actorOf(issuer: JwtIssuer, act: Json | undefined): string | null {
  if (!isObject(act) || Object.hasOwn(act, 'act')) return null;
  const { sub } = act;
  return typeof sub === 'string' && issuer.actors?.includes(sub) === true ? sub : null;
}

function kindOf(issuer: JwtIssuer, claims: JsonObject): PrincipalKind | null {
  if (issuer.kind !== undefined) return issuer.kind;
  const said = claimAt(claims, issuer.kindClaim);
  if (typeof said !== 'string') return null;
  if (issuer.kinds === undefined) return principalKinds.find((kind) => kind === said) ?? null;
  return Object.hasOwn(issuer.kinds, said) ? (issuer.kinds[said] ?? null) : null;
}

/** The claim of exactly this name, else the claim at the path that its dots describe; each step takes the longest name that exists. */
function claimAt(at: Json | undefined, name: string | undefined): Json | undefined {
  if (name === undefined || !isObject(at)) return undefined;
  if (Object.hasOwn(at, name)) return at[name];
  const ends = [...name.matchAll(/\./g)].map(({ index }) => index).reverse();
  const end = ends.find((position) => Object.hasOwn(at, name.slice(0, position)));
  return end === undefined ? undefined : claimAt(at[name.slice(0, end)], name.slice(end + 1));
}

/** The names in a list; a text is a single name. */
function namesIn(value: Json | undefined): readonly string[] {
  const all = Array.isArray(value) ? value : [value];
  return all.filter((value): value is string => typeof value === 'string' && value !== '');
}
