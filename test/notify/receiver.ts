import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Another organisation's server: takes webhooks, and answers as the test says. */
export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: any;
  readonly id: string;
  readonly path: string;
}

export interface Receiver {
  readonly url: string;
  readonly port: number;
  readonly received: Received[];
  /** What it answers: 204 unless said. Called once the whole request is there. */
  answer: (request: Received, response: ServerResponse) => void;
  /** Resolves when so many have come. */
  count(wanted: number): Promise<readonly Received[]>;
  /** Resolves when this holds, asked at each arrival. */
  until(holds: () => boolean): Promise<void>;
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  let changed = (): void => undefined;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const entry = {
        headers: request.headers,
        text,
        body: JSON.parse(text),
        id: String(request.headers['webhook-id']),
        path: request.url ?? '',
      };
      received.push(entry);
      receiver.answer(entry, response);
      changed();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}/in`,
    port,
    received,
    answer: (_request, response) => void response.writeHead(204).end(),
    count: async (wanted) => {
      await receiver.until(() => received.length >= wanted);
      return received;
    },
    until: async (holds) => {
      while (!holds()) await new Promise<void>((resolve) => (changed = resolve));
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}
