import { Agent, request as send } from 'node:http';
import type { Stack } from '../../testing/servers/stack.js';
import type { FuzzRequest } from './requests.js';

// Sends a request as it is, well-formed or not, and gives its answer.

export interface FuzzAnswer {
  /** 0: no answer. */
  readonly status: number;
  readonly text: string;
  /** False: Node's own HTTP client refused to send such a header or path. */
  readonly isSent: boolean;
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const patienceMs = 60_000;

export const closeConnections = (): void => agent.destroy();

export function ask(
  stack: Stack,
  { method, path, headers, body, truncated, by }: FuzzRequest,
): Promise<FuzzAnswer> {
  const { hostname, port } = new URL(stack.url);
  const length = body === null ? {} : { 'content-length': String(body.length + (truncated ? 10 : 0)) };
  const key = stack.keys[by];
  const own = key === undefined ? {} : { authorization: `Bearer ${key}` };
  return new Promise((resolve) => {
    const fail = (error: unknown, isSent = true): void => resolve({ status: 0, text: String(error), isSent });
    try {
      const options = { hostname, port, method, path, agent, headers: { ...own, ...length, ...headers } };
      const sent = send(options, (response) => {
        const chunks: Buffer[] = [];
        const status = response.statusCode ?? 0;
        // An event stream does not end by itself.
        const isStream = String(response.headers['content-type']).includes('event-stream');
        const done = (): void =>
          response.complete || isStream
            ? resolve({ status, text: Buffer.concat(chunks).toString('utf8'), isSent: true })
            : fail('the answer broke off');
        response.on('data', (chunk: Buffer) => void chunks.push(chunk));
        response.on('end', done).on('error', done).on('close', done);
        if (isStream) sent.destroy();
      });
      sent.on('error', (error) => fail(error));
      sent.setTimeout(patienceMs, () => sent.destroy(new Error('no answer in time')));
      if (body !== null) sent.write(body);
      if (truncated) setImmediate(() => sent.destroy());
      else sent.end();
    } catch (error) {
      fail(error, false);
    }
  });
}

/** The status of the answer. Without an answer: whether the drill broke off, Node did not send, or the API did not answer. */
export function outcomeOf(
  { truncated }: FuzzRequest,
  { status, isSent }: FuzzAnswer,
): number | 'brokenOff' | 'notSent' | 'unanswered' {
  if (status > 0) return status;
  if (!isSent) return 'notSent';
  return truncated ? 'brokenOff' : 'unanswered';
}

export const codeOf = (text: string): string => /"code":"([A-Z_]+)"/.exec(text)?.[1] ?? 'none';
