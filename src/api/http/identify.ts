import type { Authentication } from '../../auth/index.js';
import { note } from '../../service/caller.js';
import { readHeader, type Call } from './call.js';
import { asksForCredential, problem, type Problem } from '../contract/problem.js';

/**
 * Sets `call.principal` by what the credential gives now. Called again wherever a call has waited: by then the credential may be
 * revoked, have expired, or give other rights. Null: the call may go on.
 */
export async function authenticate(call: Call): Promise<Problem | null> {
  const sent = call.request.headersDistinct['authorization'] ?? [];
  if (sent.length > 1) {
    call.principal = null;
    return problem('MALFORMED', `the request has ${sent.length} \`Authorization\` headers: send exactly one`);
  }
  const { found, credential } = await readHeader(call.deps, sent[0]);
  if (found.status === 'ok') {
    call.principal = found.principal;
    call.credential = credential;
    return null;
  }
  call.principal = null;
  noteFailedAuthn(call, found);
  return problem(
    'UNAUTHENTICATED',
    'send `Authorization: Bearer <key or JWT>` with a credential that is valid now',
    {},
    asksForCredential,
  );
}

/** Only for the record: the caller is not told why its credential was refused. */
export function noteFailedAuthn(
  call: Call,
  { reason, detail, issuer }: Extract<Authentication, { status: 'refused' }>,
): void {
  const said = { ...(detail === undefined ? {} : { detail }), ...(issuer === undefined ? {} : { issuer }) };
  const remote = call.request.socket.remoteAddress ?? '';
  note(call, { type: 'authn.failed', data: { reason, ...said, remote } });
}
