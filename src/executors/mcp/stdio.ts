import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { readableText } from '../masking/decoding/decode.js';
import type { Excerpts } from '../masking/mask.js';
import { clientInfo, maxMessageBytes } from './limits.js';
import { whyNotOpened } from './message.js';
import { quoteError, readServerError } from './words.js';
import { withOwnIds } from './own-ids.js';
import { makeStdioTransport } from './transport.js';
import { codeOf } from '../connections/network.js';
import { failure, maxTimerMs, type Failure } from '../answer/outcome.js';
import { realPath, workingDirectory } from '../command/place.js';
import { lastWords, startAdvice } from '../command/told.js';
import type { StdioTransport } from './types.js';
import type { DriverContext } from '../types.js';

// A started server serves the calls of its connection, one at a time: what it writes belongs to the call under way, and where
// it breaks or writes too much, only that call fails. What it writes to its standard error does not say to which call it belongs,
// and may come late: it is quoted only while the server has served a single call. An idle server is stopped after a while.

const idleMs = 60_000;
/** How long a server may take to answer `initialize`, also for a call that waits less: the next call then finds it ready. */
const connectTimeoutMs = 30_000;
/** How much of its standard error is kept: far more than is quoted, so that enough is left after masking. */
const maxStderrBytes = 65_536;

/** Why the session ended, as the end of a message; empty: the server did not say. */
type Problem = (excerpts: Excerpts) => string;

interface Session {
  readonly client: Client;
  readonly problem: Problem;
  /** Was it ended because it wrote more than is read? */
  wroteTooMuch(): boolean;
  /** Tells that the call is over. A session that is not `usable` any more is ended. */
  release(usable: boolean): void;
}

export type Opening = { readonly status: 'open'; readonly session: Session } | Failure;

interface Opened extends Pick<Session, 'client' | 'problem' | 'wroteTooMuch'> {
  readonly status: 'open';
  /** Tells that a call begins. */
  renew(): void;
}

interface Pooled {
  readonly client: Client;
  readonly opened: Promise<Opened | Failure>;
  inUse: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** Servers by transport, folder and program. The keys contain resolved secrets, and are only ever in memory. */
const pool = new Map<string, Set<Pooled>>();

/** Takes an idle session of the connection, or starts a server where there is none. */
export async function openStdio(
  transport: StdioTransport,
  context: Pick<DriverContext, 'baseDirectory' | 'excerpts' | 'timeoutMs' | 'signal'>,
  name: string,
): Promise<Opening> {
  const cwd = workingDirectory(context.baseDirectory, transport.workingDirectory);
  if (cwd === null)
    return failure(
      'permanent',
      `the working directory of connection \`${name}\` does not exist; create it or name another; nothing was sent`,
    );
  // The program is part of the key: the same link may lead to another program by now.
  const key = JSON.stringify([transport, cwd, realPath(transport.command)]);
  const idle = [...(pool.get(key) ?? [])].find(({ inUse }) => !inUse);
  const pooled = idle ?? start(key, transport, cwd, name, context);
  pooled.inUse = true;
  clearTimeout(pooled.timer);
  const opened = await pooled.opened;
  if (opened.status === 'failed') return opened;
  opened.renew();
  const session: Session = {
    client: opened.client,
    problem: opened.problem,
    wroteTooMuch: opened.wroteTooMuch,
    release: (usable) => release(key, pooled, usable),
  };
  return { status: 'open', session };
}

function start(
  key: string,
  transport: StdioTransport,
  cwd: string,
  name: string,
  context: Pick<DriverContext, 'excerpts' | 'timeoutMs' | 'signal'>,
): Pooled {
  const client = new Client(clientInfo);
  const opened = connect(client, transport, cwd, name, context, () => forget(key, pooled));
  const pooled: Pooled = {
    client,
    opened: closingAtAbort(client, context.signal, opened),
    inUse: true,
    timer: undefined,
  };
  const kept = pool.get(key) ?? new Set();
  pool.set(key, kept.add(pooled));
  return pooled;
}

/** A call that is cancelled leaves no server behind that has not opened yet. */
async function closingAtAbort<T>(client: Client, signal: AbortSignal, opening: Promise<T>): Promise<T> {
  const close = (): void => void client.close().catch(() => undefined);
  signal.addEventListener('abort', close, { once: true });
  if (signal.aborted) close();
  try {
    return await opening;
  } finally {
    signal.removeEventListener('abort', close);
  }
}

function forget(key: string, pooled: Pooled): void {
  const kept = pool.get(key);
  kept?.delete(pooled);
  if (kept?.size === 0) pool.delete(key);
}

async function connect(
  client: Client,
  params: StdioTransport,
  cwd: string,
  name: string,
  { excerpts, timeoutMs }: Pick<DriverContext, 'excerpts' | 'timeoutMs'>,
  onClose: () => void,
): Promise<Opened | Failure> {
  const stderr = makeTail(maxStderrBytes);
  let tooMuch: string | null = null;
  let calls = 0;
  const { transport, renew } = makeStdioTransport({
    command: params.command,
    args: params.args,
    env: params.env,
    cwd,
    maxMessageBytes,
    onStderr: stderr.add,
    onTooMuch: (why) => (tooMuch = why),
  });
  client.onclose = onClose;
  const problem: Problem = (excerpts) => {
    if (tooMuch !== null) return `: ${tooMuch}`;
    return calls > 1 ? untoldStderr : lastWords(stderr.text(), excerpts, stderr.isWhole() ? 'whole' : 'tail');
  };
  const begin = (): void => {
    calls += 1;
    renew();
    if (calls > 1) stderr.forget();
  };
  try {
    await client.connect(withOwnIds(transport), {
      timeout: Math.min(Math.max(connectTimeoutMs, timeoutMs), maxTimerMs),
    });
    return { status: 'open', client, problem, renew: begin, wroteTooMuch: () => tooMuch !== null };
  } catch (error) {
    onClose();
    await client.close().catch(() => undefined);
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'EACCES' || code === 'E2BIG') {
      return failure(
        'permanent',
        `the MCP server of connection \`${name}\` could not be started (${code}); ${startAdvice(code)}; nothing was sent`,
      );
    }
    const said = readServerError(error);
    if (said !== null)
      return failure(
        'permanent',
        `the MCP server of connection \`${name}\` refused \`initialize\`: ${quoteError(said, excerpts)}; nothing was sent`,
      );
    const why = whyNotOpened(error, excerpts);
    if (why !== null)
      return failure('permanent', `the MCP server of connection \`${name}\`: ${why}; nothing was sent`);
    return failure(
      'connection',
      `the MCP server of connection \`${name}\` did not start to answer${problem(excerpts)}; nothing was sent`,
    );
  }
}

const untoldStderr =
  ': what it wrote to its standard error is not told, since it had served other calls before; look into its own log';

interface Tail {
  add(chunk: Buffer): void;
  text(): string;
  isWhole(): boolean;
  /** Drops what it has, and keeps nothing from now on. */
  forget(): void;
}

/** Keeps the last bytes of what comes in pieces. They are decoded together, since a piece may end within a character. */
function makeTail(limit: number): Tail {
  let bytes = Buffer.alloc(0);
  let isWhole = true;
  let isKept = true;
  return {
    forget: () => {
      bytes = Buffer.alloc(0);
      isKept = false;
    },
    add: (chunk) => {
      if (!isKept) return;
      const all = Buffer.concat([bytes, chunk]);
      isWhole &&= all.length <= limit;
      bytes = all.subarray(Math.max(0, all.length - limit));
    },
    // What is left of a character that the cut went through is dropped.
    text: () => readableText(bytes.subarray(isWhole ? 0 : bytes.findIndex((byte) => byte >> 6 !== 2))),
    isWhole: () => isWhole,
  };
}

function release(key: string, pooled: Pooled, usable: boolean): void {
  const end = (): void => {
    forget(key, pooled);
    void close(pooled);
  };
  if (!usable) return end();
  pooled.inUse = false;
  pooled.timer = setTimeout(end, idleMs);
  pooled.timer.unref();
}

async function close(pooled: Pooled): Promise<void> {
  clearTimeout(pooled.timer);
  // Also one that has not answered `initialize` yet: it is not waited for.
  await pooled.client.close().catch(() => undefined);
  await pooled.opened;
}

/** Stops every server that is kept, when a worker or a test ends. */
export async function closeStdioSessions(): Promise<void> {
  const all = [...pool.values()].flatMap((kept) => [...kept]);
  pool.clear();
  await Promise.all(all.map(close));
}
