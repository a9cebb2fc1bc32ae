import { codeOf, isCertificateProblem } from '../../../executors/connections/network.js';
import type { Delivered } from '../../types.js';

// Judges what a mail server says, or that it says nothing: whether the mail is tried again.

/** Why there was no answer, and whether the mail may have been delivered. */
export function describeNoAnswer(why: string, hasAll: boolean): string {
  return hasAll
    ? `${why}: the mail server has all of the message and did not say that it took it, so it may be delivered; it is sent again under the same Message-ID`
    : `${why}: the mail server was not given the message`;
}

/** Uses only the codes of the server's reply, because its text may hold addresses and names. */
export function judgeError(error: unknown, hasAll: boolean): Delivered {
  const code = codeOf(error);
  const reply = textOf(error, 'response');
  const [said] = /^\d{3}(?:[ -]\d\.\d{1,3}\.\d{1,3})?/.exec(reply) ?? [];
  if (said !== undefined) {
    const isFinal = isAboutMailbox(reply, textOf(error, 'command'));
    const detail = `the mail server answered ${said.replace('-', ' ')} (${code})`;
    return { status: isFinal ? 'failed' : 'retry', detail };
  }
  // Nodemailer's own code only says that the socket failed.
  const cause = textOf(error, 'originalCode') || code;
  if (!isCertificateProblem(cause))
    return { status: 'retry', detail: describeNoAnswer(`no answer (${cause})`, hasAll) };
  return {
    status: 'retry',
    detail: `the mail server's certificate is not accepted (${cause}), so it was given nothing: it needs one for the host in \`smtp\`, from an authority that this process trusts (\`NODE_EXTRA_CA_CERTS\` names a file of more)`,
  };
}

/**
 * Whether the mailbox does not exist, which does not change. All else can be corrected: a policy, a quota, a sign-in, a sender, a relay.
 * RFC 3463: 5.1.x is about addresses, but 5.1.7 to 5.1.9 about others than the recipient's. Without such a code it is judged by the
 * replies that RFC 5321 has for a recipient that does not exist.
 */
function isAboutMailbox(reply: string, command: string): boolean {
  if (/^5\d\d[ -]5\.\d/.test(reply))
    return command !== 'MAIL FROM' && /^5\d\d[ -]5\.1\.(?:[0-6]|10)(?!\d)/.test(reply);
  return command === 'RCPT TO' && /^55[013]/.test(reply);
}

function textOf(error: unknown, name: 'response' | 'command' | 'originalCode'): string {
  const value: unknown = error instanceof Error ? (error as unknown as Record<string, unknown>)[name] : '';
  return typeof value === 'string' ? value : '';
}
