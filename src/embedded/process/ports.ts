import { existsSync, readFileSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import net from 'node:net';
import { writeAtomically } from './system.js';

// Below the range that the kernel uses for outgoing connections, so that no connection takes a port between the moment when we
// find it free and the moment when its owner listens.
const lowest = 20_000;
const highest = 32_000;

export function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.on('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

export async function freePort(taken: ReadonlySet<number> = new Set()): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(lowest, highest);
    if (!taken.has(port) && (await isPortFree(port))) return port;
  }
  throw new Error(`no free port found between ${lowest} and ${highest}`);
}

export async function nextFreePort(first: number, host: string): Promise<number> {
  for (let port = first; port < first + 1_000 && port < 65_536; port++) {
    if (await isPortFree(port, host)) return port;
  }
  throw new Error(`no free port found from ${first} upwards`);
}

/** Ports by name, kept in a file so that the next start uses the same ports where they are still free. */
export interface PortBook {
  known(name: string): number | undefined;
  keep(name: string, port: number): void;
  /** The kept port where it is free, else another port, which is kept from now on. */
  obtain(name: string): Promise<number>;
}

export function openPortBook(file: string): PortBook {
  const ports = new Map<string, number>(existsSync(file) ? readPorts(file) : []);
  const keep = (name: string, port: number): void => {
    if (ports.get(name) === port) return;
    ports.set(name, port);
    writeAtomically(file, `${JSON.stringify(Object.fromEntries(ports), null, 2)}\n`);
  };
  return {
    known: (name) => ports.get(name),
    keep,
    async obtain(name) {
      const kept = ports.get(name);
      if (kept !== undefined && (await isPortFree(kept))) return kept;
      const port = await freePort(new Set(ports.values()));
      keep(name, port);
      return port;
    },
  };
}

/** Empty where the file cannot be read: then new ports are chosen. */
function readPorts(file: string): [string, number][] {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof parsed !== 'object' || parsed === null) return [];
    return Object.entries(parsed).filter((entry): entry is [string, number] => Number.isInteger(entry[1]));
  } catch {
    return [];
  }
}
