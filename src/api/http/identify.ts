import type { Authentication } from '../../auth/index.js';
import { note } from '../../service/caller.js';
import type { Call } from './call.js';
import { asksForCredential, problem, type Problem } from '../contract/problem.js';

/**
 * Who calls, by what holds at this moment. Asked again wherever a call has waited: its credential may have been revoked,
 * may have run out, or may give other rights by then. Null: the call may go on.
 */
export async function authenticate(call: Call): Promise<Problem | null> {
  const sent = call.request.headersDistinct['authorization'] ?? [];
  if (sent.length > 1) {
    call.principal = null;
    return problem(
      'MALFORMED',
      `${sent.length} \`Authorization\` headers came, and one says who calls: send one`,
    );
  }
  const found = await call.deps.authenticate(sent[0]);
  if (found.status === 'ok') {
    call.principal = found.principal;
    return null;
  }
  call.principal = null;
  noteRefused(call, found);
  return problem(
    'UNAUTHENTICATED',
    'send `Authorization: Bearer <key or JWT>` with a credential that is valid now',
    {},
    asksForCredential,
  );
}

/** For the record alone: what it says of a credential is nothing for whoever sent it. */
export function noteRefused(
  call: Call,
  { reason, detail, issuer }: Extract<Authentication, { status: 'refused' }>,
): void {
  const said = { ...(detail === undefined ? {} : { detail }), ...(issuer === undefined ? {} : { issuer }) };
  const remote = call.request.socket.remoteAddress ?? '';
  note(call, { type: 'authn.failed', data: { reason, ...said, remote } });
}
