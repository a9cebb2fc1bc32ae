import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startStack, type Stack } from '../../../testing/servers/stack.js';

interface Sent {
  readonly path: string;
  readonly key: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Where the effects of a test arrive. */
export interface Bank {
  readonly sent: readonly Sent[];
  /** The next call breaks off after it was taken. */
  breakOff(): void;
  /** The next call of `/slow` is answered when this is released. */
  hold(): { held(): boolean; release(): void };
}

export interface StackWithBank extends Stack {
  readonly bank: Bank;
}

export const roles = 'version: 1\nroles: { finance.controller: { permissions: [] } }\n';

/** A stack with these policies, where finance.controllers decide, and at `env://BANK_URL` a bank that gives that answer. */
export async function startWithBank(
  policies: Readonly<Record<string, string>>,
  answer: object = {},
): Promise<StackWithBank> {
  const { url, bank, close } = await startBank(JSON.stringify(answer));
  const stack = await startStack({ env: { BANK_URL: url }, policies: { 'roles.yaml': roles, ...policies } });
  const stop = async (): Promise<void> => {
    await stack.stop();
    await close();
  };
  return { ...stack, bank, stop };
}

export async function startBank(
  answer: string,
): Promise<{ url: string; bank: Bank; close(): Promise<void> }> {
  const sent: Sent[] = [];
  let breaks = false;
  let holding: { at: ServerResponse | null } | null = null;
  const give = (response: ServerResponse): void => {
    if (breaks) response.destroy();
    else response.writeHead(200, { 'content-type': 'application/json' }).end(answer);
    breaks = false;
  };
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (part) => (text += String(part)));
    request.on('end', () => {
      const path = request.url ?? '';
      const key = String(request.headers['idempotency-key'] ?? '');
      sent.push({ path, key, body: JSON.parse(text || '{}') as Sent['body'] });
      if (path === '/slow' && holding !== null) holding.at = response;
      else give(response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const hold: Bank['hold'] = () => {
    const mine: { at: ServerResponse | null } = { at: null };
    holding = mine;
    return {
      held: () => mine.at !== null,
      release: () => {
        holding = null;
        if (mine.at !== null) give(mine.at);
      },
    };
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bank: { sent, hold, breakOff: () => void (breaks = true) },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
