import { isUtf8 } from 'node:buffer';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { getDefaultEnvironment } from '@modelcontextprotocol/sdk/client/stdio.js';
import { serializeMessage } from '@modelcontextprotocol/sdk/shared/stdio.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { isJSONRPCRequest, JSONRPCMessageSchema, type RequestId } from '@modelcontextprotocol/sdk/types.js';
import { giveWayBefore, makeTurns } from '../../model/give-way.js';
import { isObject, type Json } from '../../model/values/json.js';
import { maxMessages, maxSessionBytes } from './limits.js';
import { isAnswer, toReadableMessage } from './message.js';
import { isWithoutId } from './words.js';
import { codeOf } from '../connections/network.js';
import { endSession, endWithInput, startSession } from '../command/process-session.js';

// MCP over the standard streams of a process. The SDK's own transport is not used: its parser rounds the numbers of an answer
// before anybody else sees them.

export interface StdioParameters {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** The most bytes of one message. */
  readonly maxMessageBytes: number;
  readonly onStderr: (chunk: Buffer) => void;
  readonly onTooMuch: (why: string) => void;
}

export interface StdioServer {
  readonly transport: Transport;
  /** Tells that a call begins: the server may write as much again. */
  renew(): void;
}

interface Written {
  bytes: number;
  messages: number;
}

export function makeStdioTransport(params: StdioParameters): StdioServer {
  let written: Written = { bytes: 0, messages: 0 };
  let child: ChildProcess | null = null;
  const open: Open = [];
  const close = async (): Promise<void> => {
    const closing = child;
    child = null;
    if (closing !== null) await endWithInput(closing);
  };
  const transport: Transport = {
    start: async () => {
      const started = startSession(params.command, params.args, {
        env: { ...getDefaultEnvironment(), ...params.env },
        cwd: params.cwd,
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      const { stdin, stdout, stderr } = started;
      if (stdin === null || stdout === null || stderr === null) throw new Error('it has no streams');
      child = started;
      started.on('error', (error) => transport.onerror?.(error));
      // Helpers of the server that are left of its session have nobody to serve, and may hold the output open.
      started.on('exit', () => void endSession(started));
      started.on('close', () => {
        child = null;
        transport.onclose?.();
      });
      stdin.on('error', (error) => transport.onerror?.(error));
      stderr.on('data', params.onStderr);
      const isOpen = (): boolean => child === started;
      void readAll(
        stdout,
        params.maxMessageBytes,
        makeDeliver(transport, open),
        isOpen,
        () => written,
        transport,
      ).then((why) => {
        if (why === null) return;
        params.onTooMuch(why);
        void close();
        // Calls that wait for an answer fail now, and not only when the server has ended.
        transport.onclose?.();
      });
      await once(started, 'spawn');
    },
    send: async (message) => {
      if (child?.stdin?.writable !== true) throw new NotSent('the server has ended, or reads no more');
      open.push(isJSONRPCRequest(message) ? message.id : null);
      await writeAll(child.stdin, serializeMessage(message));
    },
    close,
  };
  return { transport, renew: () => (written = { bytes: 0, messages: 0 }) };
}

/**
 * Delivers the output line by line, with turns for others, and reads on only when all is delivered: the rest waits in the pipe.
 * Gives why the session cannot go on, as where the server wrote more than it may; null: the output has ended. Delivers nothing
 * of a session that was closed.
 */
async function readAll(
  stdout: Readable,
  limit: number,
  deliver: Deliver,
  isOpen: () => boolean,
  written: () => Written,
  transport: Pick<Transport, 'onerror'>,
): Promise<string | null> {
  const turn = makeTurns();
  let held: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stdout as AsyncIterable<Buffer>) {
      let from = 0;
      written().bytes += chunk.length;
      if (written().bytes > maxSessionBytes) return `it wrote over ${maxSessionBytes} bytes for one call`;
      for (let at = chunk.indexOf(10); isOpen() && at !== -1; at = chunk.indexOf(10, from)) {
        if (size + at - from > limit) return `a message is over ${limit} bytes`;
        const bytes = Buffer.concat([...held, chunk.subarray(from, at)]);
        const line = bytes.toString('utf8');
        [from, held, size] = [at + 1, [], 0];
        while (chunk[from] === 10) from += 1;
        await turn();
        if (line.trim() === '') continue;
        written().messages += 1;
        if (written().messages > maxMessages) return `it wrote over ${maxMessages} messages for one call`;
        await giveWayBefore(line.length);
        const why = deliver(line, isUtf8(bytes));
        if (why !== null) return why;
      }
      held.push(chunk.subarray(from));
      size = isOpen() ? size + chunk.length - from : 0;
      if (!isOpen()) held = [];
      if (size > limit) return `a message is over ${limit} bytes`;
      await turn();
    }
  } catch (error) {
    transport.onerror?.(error instanceof Error ? error : new Error('its output cannot be read'));
  }
  return null;
}

/** Gives why the session cannot go on; null: it can. */
type Deliver = (line: string, isExact: boolean) => string | null;

/**
 * What was sent since the request that was answered last: the ids of requests, and null for a notification or a reply. Some
 * servers answer each of these with an error without an id, so such an error counts for the request only where no other is left.
 */
type Open = (RequestId | null)[];

function makeDeliver(transport: Transport, open: Open): Deliver {
  return (line, isExact) => {
    const [only = null] = open.length === 1 ? open : [];
    const read = toReadableMessage(line, only, isExact);
    if (read.status === 'too_large') return `a message cannot be read: ${read.why}`;
    const message = read.status === 'readable' ? JSONRPCMessageSchema.safeParse(JSON.parse(read.text)) : null;
    // Many servers write lines of their log to the standard output.
    if (message === null || !message.success) {
      if (read.status === 'readable' && isObject(read.message) && isWithoutId(read.message['error'])) {
        const about = open.indexOf(null);
        if (about !== -1) open.splice(about, 1);
      }
      if (read.status === 'readable' && isAnswerToNobody(read.message))
        return 'it answered with an id that is neither a number nor a text';
      transport.onerror?.(new Error('a line is no message'));
      return null;
    }
    const answered = open.findIndex((id) => id !== null && isAnswer(message.data as Json, id));
    open.splice(0, answered + 1);
    transport.onmessage?.(message.data);
    return null;
  };
}

/** Our ids, and those that we reply to, are numbers and texts: what answers under another thing is an answer that nobody can place. */
function isAnswerToNobody(message: Json): boolean {
  if (!isObject(message) || (message['method'] ?? null) !== null) return false;
  const isEither = ['result', 'error'].some((name) => Object.hasOwn(message, name));
  return isEither && ['object', 'boolean'].includes(typeof (message['id'] ?? 0));
}

/** The server has not read the message to its end, so it has not taken it. */
export class NotSent extends Error {}

/** Resolves when the system has taken all of the text; rejects with `NotSent` where the server has closed its input. */
function writeAll(stdin: Writable, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stdin.write(text, (error) => {
      if (error) reject(new NotSent(`the server reads no more (${codeOf(error)})`));
      else resolve();
    });
  });
}
