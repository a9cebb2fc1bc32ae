import { timingSafeEqual } from 'node:crypto';
import type { PolicySet } from '../model/policy-set.js';
import { humanPermissions, type Principal } from '../model/principal.js';
import type { Pool } from '../db/index.js';
import { findKeyByHash, ensurePrincipal } from '../store/people/keys.js';
import { putSight } from '../store/people/people.js';
import { looksLikeApiKey } from '../model/names/api-key.js';
import { hashApiKey } from './api-keys.js';
import type { JwtIdentity, JwtVerifier } from './jwt.js';
import { withRolePermissions } from './permissions.js';

export interface AuthenticatorDeps {
  readonly pool: Pool;
  readonly pepper: Buffer;
  readonly verifyJwt: JwtVerifier;
  /** The policy set in force, which says what permissions a role has. */
  readonly policySet: () => Promise<PolicySet | null>;
  readonly now: () => Date;
}

export type Authentication =
  | { readonly status: 'ok'; readonly principal: Principal; readonly keyId: string | null }
  /** For the record. The caller is told only that the credential is not valid. `issuer`: as in `JwtResult`. */
  | {
      readonly status: 'refused';
      readonly reason: string;
      readonly detail?: string;
      readonly issuer?: string;
    };

export type Authenticator = (authorization: string | undefined) => Promise<Authentication>;

const longestCredential = 16_384;

/** Makes a function from the `Authorization` header to a principal. It rejects only when the store does not answer. */
export function makeAuthenticator(deps: AuthenticatorDeps): Authenticator {
  const seen: Seen = new Map();
  return async (authorization) => {
    if (authorization === undefined || authorization === '')
      return { status: 'refused', reason: 'no_credential' };
    const credential = /^Bearer +([^\s]+)$/i.exec(authorization)?.[1];
    if (credential === undefined || credential.length > longestCredential)
      return { status: 'refused', reason: 'not_a_bearer' };
    if (looksLikeApiKey(credential)) return authenticateByKey(deps, credential);
    if (credential.split('.').length !== 3) return { status: 'refused', reason: 'unknown_key' };
    return authenticateByJwt(deps, seen, credential);
  };
}

async function authenticateByKey(deps: AuthenticatorDeps, credential: string): Promise<Authentication> {
  const hash = hashApiKey(deps.pepper, credential);
  const row = await findKeyByHash(deps.pool, hash);
  if (row === null || !timingSafeEqual(row.hash, hash)) return { status: 'refused', reason: 'unknown_key' };
  if (row.revokedAt !== null) return { status: 'refused', reason: 'revoked_key' };
  if (row.expiresAt !== null && Date.parse(row.expiresAt) <= deps.now().getTime())
    return { status: 'refused', reason: 'expired_key' };
  const { principalId: id, kind, roles, permissions } = row;
  return {
    status: 'ok',
    principal: withRolePermissions(await deps.policySet(), { id, kind, roles, permissions }),
    keyId: row.keyId,
  };
}

async function authenticateByJwt(
  deps: AuthenticatorDeps,
  seen: Seen,
  token: string,
): Promise<Authentication> {
  const result = await deps.verifyJwt(token);
  if (result.status === 'refused') return result;
  const permissions = result.identity.permissions.filter(
    (permission) => result.identity.kind === 'human' || !humanPermissions.includes(permission),
  );
  const identity = { ...result.identity, permissions };
  const problem = await identityProblem(deps, seen, identity);
  if (problem !== null) return problem;
  const principal = withRolePermissions(await deps.policySet(), identity);
  return { status: 'ok', principal, keyId: null };
}

const seenLimit = 10_000;
/** How often the unchanged roles of somebody who signs in with tokens are written to the store again. */
const sightMs = 3_600_000;

type Seen = Map<string, { readonly kind: JwtIdentity['kind']; readonly rights: string; readonly at: number }>;

/**
 * Why this identity is refused; null: it is not. An id has one kind and one spelling, whichever credential names it, because
 * deciders are compared by id. Also notes in the store the roles and permissions that the token carries, for those who look
 * the person up later.
 */
async function identityProblem(
  deps: AuthenticatorDeps,
  seen: Seen,
  identity: JwtIdentity,
): Promise<Extract<Authentication, { status: 'refused' }> | null> {
  const { id, kind, roles, permissions } = identity;
  const known = seen.get(id);
  if (known !== undefined && known.kind !== kind) return { status: 'refused', reason: 'kind_conflict' };
  const rights = JSON.stringify([roles, permissions]);
  const at = deps.now().getTime();
  if (known?.rights === rights && at - known.at < sightMs) return null;
  const inserted = await ensurePrincipal(deps.pool, { id, kind });
  switch (inserted.status) {
    case 'kind_conflict':
      return { status: 'refused', reason: inserted.status };
    case 'spelling_conflict':
      return { status: 'refused', reason: inserted.status, detail: explainSpelling(id, inserted.known) };
    case 'ok':
      await putSight(deps.pool, { id, roles, permissions });
      if (seen.size >= seenLimit) seen.clear();
      seen.set(id, { kind, rights, at });
      return null;
  }
}

function explainSpelling(id: string, known: string): string {
  return `the token is of \`${id}\`, and \`${known}\` is known here, which is the same name in another spelling: have its issuer spell it as before, or name people by a \`subjectClaim\` that stays the same`;
}
