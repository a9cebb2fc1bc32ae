import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';

// The target of the drills: an ERP that drafts payments, and notes every request by its idempotency key.

/** What was done under an idempotency key. */
export interface Effect {
  readonly key: string;
  /** The id of the run, with which the key begins. For a request without a key: whom it pays. */
  readonly run: string;
  /** Whom it pays. */
  readonly vendor?: string;
  /** How many requests had this key; the first one acts, the others get the same answer. */
  requests: number;
}

export interface Target {
  readonly url: string;
  effects(): readonly Effect[];
  /** Requests of this run act, and get no answer before `release` is called. `arrived` resolves when the first has arrived. */
  hold(run: string): HeldRequests;
  /** The next request that pays this vendor acts, and its connection ends without an answer. */
  breakOff(vendor: string): void;
  close(): Promise<void>;
}

interface HeldRequests {
  readonly arrived: Promise<void>;
  readonly release: () => void;
}

/** `onEffect` is called when a request that acts arrives. */
export async function startTarget(onEffect: (run: string) => void = () => undefined): Promise<Target> {
  const effects = new Map<string, Effect>();
  const held = new Map<string, { readonly arrive: () => void; readonly released: Promise<void> }>();
  const broken = new Set<string>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const vendor = vendorIn(Buffer.concat(chunks).toString());
      const given = request.headers['idempotency-key'];
      const key = typeof given === 'string' ? given : `${vendor}:${effects.size}`;
      const known = effects.get(key);
      const run = key.split(':')[0] ?? '';
      if (known === undefined) {
        effects.set(key, { key, run, vendor, requests: 1 });
        onEffect(run);
      } else known.requests += 1;
      if (broken.delete(vendor)) return void response.destroy();
      const answer = (): void => {
        response.writeHead(201, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ id: key, status: 'draft' }));
      };
      const hold = held.get(run);
      if (hold === undefined) return answer();
      hold.arrive();
      void hold.released.then(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    effects: () => [...effects.values()],
    hold: (run) => {
      let release = (): void => undefined;
      const arrived = new Promise<void>((arrive) => {
        const released = new Promise<void>((resolve) => (release = resolve));
        held.set(run, { arrive, released });
      });
      return { arrived, release: () => release() };
    },
    breakOff: (vendor) => void broken.add(vendor),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const paymentBody = z.object({ vendor: z.string() });

function vendorIn(text: string): string {
  try {
    const parsed = paymentBody.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data.vendor : 'nobody';
  } catch {
    return 'nobody';
  }
}
