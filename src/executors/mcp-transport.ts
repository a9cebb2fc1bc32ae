import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { getDefaultEnvironment } from '@modelcontextprotocol/sdk/client/stdio.js';
import { serializeMessage } from '@modelcontextprotocol/sdk/shared/stdio.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { JSONRPCMessageSchema } from '@modelcontextprotocol/sdk/types.js';
import { readableMessage } from './mcp-message.js';

// MCP over the standard streams of a process. Not the SDK's transport, whose parser has rounded every number of an answer
// before anybody else sees it.

export interface StdioParameters {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Of one message, in bytes. */
  readonly maxMessageBytes: number;
  readonly onStderr: (chunk: Buffer) => void;
  readonly onTooLarge: () => void;
}

/** Between the end of its input, SIGTERM and SIGKILL. */
const graceMs = 2_000;

export function makeStdioTransport(params: StdioParameters): Transport {
  let child: ChildProcess | null = null;
  const close = async (): Promise<void> => {
    const closing = child;
    child = null;
    if (closing !== null) await end(closing);
  };
  const transport: Transport = {
    start: async () => {
      const started = spawn(params.command, [...params.args], {
        env: { ...getDefaultEnvironment(), ...params.env },
        cwd: params.cwd,
        stdio: ['pipe', 'pipe', 'pipe'],
        shell: false,
      });
      child = started;
      started.on('error', (error) => transport.onerror?.(error));
      started.on('close', () => {
        child = null;
        transport.onclose?.();
      });
      started.stdin.on('error', (error) => transport.onerror?.(error));
      started.stderr.on('data', params.onStderr);
      const read = readLines(params.maxMessageBytes, (line) => deliver(transport, line));
      started.stdout.on('data', (chunk: Buffer) => {
        if (read(chunk)) return;
        params.onTooLarge();
        started.stdout.removeAllListeners('data').resume();
        void close();
      });
      await once(started, 'spawn');
    },
    send: async (message) => {
      if (child?.stdin?.writable !== true) throw new Error('the server has ended');
      if (!child.stdin.write(serializeMessage(message))) await drained(child);
    },
    close,
  };
  return transport;
}

/** False once a line is longer than the limit. */
function readLines(limit: number, onLine: (line: string) => void): (chunk: Buffer) => boolean {
  let parts: Buffer[] = [];
  let size = 0;
  return (chunk) => {
    let rest = chunk;
    for (let at = rest.indexOf(10); at !== -1; at = rest.indexOf(10)) {
      if (size + at > limit) return false;
      onLine(Buffer.concat([...parts, rest.subarray(0, at)]).toString('utf8'));
      rest = rest.subarray(at + 1);
      parts = [];
      size = 0;
    }
    parts.push(rest);
    size += rest.length;
    return size <= limit;
  };
}

function deliver(transport: Transport, line: string): void {
  const text = readableMessage(line);
  const message = text === null ? null : JSONRPCMessageSchema.safeParse(JSON.parse(text));
  // Many servers write a line of their log to the standard output.
  if (message === null || !message.success) transport.onerror?.(new Error('a line is no message'));
  else transport.onmessage?.(message.data);
}

async function drained({ stdin }: ChildProcess): Promise<void> {
  if (stdin === null) return;
  await Promise.race([once(stdin, 'drain'), once(stdin, 'close')]);
}

async function end(child: ChildProcess): Promise<void> {
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.stdin?.end();
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await Promise.race([closed, pause()]);
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, graceMs).unref());
}
