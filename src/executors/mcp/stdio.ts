import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { lastWords, startAdvice, workingDirectory } from '../cli/cli.js';
import { readableText } from '../masking/decode.js';
import type { Told } from '../masking/mask.js';
import { clientInfo, maxMessageBytes } from './limits.js';
import { isServersWord, whyNotOpened } from './message.js';
import { makeStdioTransport } from './transport.js';
import { codeOf } from '../connections/network.js';
import { failure, type Failure } from '../answer/outcome.js';
import { realPath } from '../cli/place.js';
import type { StdioTransport } from './types.js';
import type { DriverContext } from '../types.js';

// A started server serves the calls of its connection, one at a time: what it writes is one call's, and where it breaks or
// writes more than is read, it is one call that hears of it. What it writes to its standard error says not whose it is, and
// may come late: it is told as long as one call alone has been made. It is stopped when nobody has called it for a while.

const idleMs = 60_000;
const connectTimeoutMs = 30_000;
/** Far more than is told of it, so that what is masked makes the rest no shorter than that. */
const maxStderrBytes = 65_536;

/** Why the session ended, where its server said so. */
type Problem = (told: Told) => string;

interface Session {
  readonly client: Client;
  readonly problem: Problem;
  /** It was ended because it wrote more than is read. */
  wroteTooMuch(): boolean;
  /** The call is over. A session that is not `usable` any more serves nobody else. */
  release(usable: boolean): void;
}

export type Opening = { readonly status: 'open'; readonly session: Session } | Failure;

interface Opened extends Pick<Session, 'client' | 'problem' | 'wroteTooMuch'> {
  readonly status: 'open';
  /** A call begins. */
  renew(): void;
}

interface Pooled {
  readonly opened: Promise<Opened | Failure>;
  inUse: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** Servers by their keys, which hold resolved secrets: they stay in memory. */
const pool = new Map<string, Set<Pooled>>();

/** A session of the connection that nobody uses, started when there is none. */
export async function openStdio(
  transport: StdioTransport,
  context: Pick<DriverContext, 'baseDirectory' | 'told'>,
  name: string,
): Promise<Opening> {
  const cwd = workingDirectory(context.baseDirectory, transport.workingDirectory);
  if (cwd === null)
    return failure(
      'permanent',
      `the working directory of connection \`${name}\` does not exist; create it or name another`,
    );
  // A server of another program is another one, though it is reached by the same link.
  const key = JSON.stringify([transport, cwd, realPath(transport.command)]);
  const idle = [...(pool.get(key) ?? [])].find(({ inUse }) => !inUse);
  const pooled = idle ?? start(key, transport, cwd, name, context.told);
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

function start(key: string, transport: StdioTransport, cwd: string, name: string, told: Told): Pooled {
  const pooled: Pooled = {
    opened: connect(transport, cwd, name, told, () => forget(key, pooled)),
    inUse: true,
    timer: undefined,
  };
  const kept = pool.get(key) ?? new Set();
  pool.set(key, kept.add(pooled));
  return pooled;
}

function forget(key: string, pooled: Pooled): void {
  const kept = pool.get(key);
  kept?.delete(pooled);
  if (kept?.size === 0) pool.delete(key);
}

async function connect(
  params: StdioTransport,
  cwd: string,
  name: string,
  told: Told,
  onClose: () => void,
): Promise<Opened | Failure> {
  const stderr = keepTail(maxStderrBytes);
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
  const client = new Client(clientInfo);
  client.onclose = onClose;
  const problem: Problem = (told) => {
    if (tooMuch !== null) return `: ${tooMuch}`;
    return calls > 1 ? notOfOneCall : lastWords(stderr.text(), told, stderr.isWhole() ? 'whole' : 'tail');
  };
  const begin = (): void => {
    calls += 1;
    renew();
    if (calls > 1) stderr.forget();
  };
  try {
    await client.connect(transport, { timeout: connectTimeoutMs });
    return { status: 'open', client, problem, renew: begin, wroteTooMuch: () => tooMuch !== null };
  } catch (error) {
    onClose();
    await client.close().catch(() => undefined);
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'EACCES' || code === 'E2BIG') {
      return failure(
        'permanent',
        `the MCP server of connection \`${name}\` could not be started (${code}); ${startAdvice(code)}`,
      );
    }
    if (isServersWord(error))
      return failure(
        'permanent',
        `the MCP server of connection \`${name}\` refused \`initialize\`: ${told.start(error.message, 500)}; nothing was sent`,
      );
    const why = whyNotOpened(error, told);
    if (why !== null)
      return failure('permanent', `the MCP server of connection \`${name}\`: ${why}; nothing was sent`);
    return failure(
      'connection',
      `the MCP server of connection \`${name}\` did not start to answer${problem(told)}; nothing was sent`,
    );
  }
}

const notOfOneCall =
  ': what it wrote to its standard error is not told, since it had served other calls before; look into its own log';

interface Tail {
  add(chunk: Buffer): void;
  text(): string;
  isWhole(): boolean;
  /** Keeps nothing any more. */
  forget(): void;
}

/** The last bytes of what comes in pieces, decoded when all are together: a piece may end within a character. */
function keepTail(limit: number): Tail {
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
    // Of a character that the cut went through, nothing is left.
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
  const opened = await pooled.opened;
  if (opened.status === 'open') await opened.client.close().catch(() => undefined);
}

/** Stops every server that is kept. For the end of a worker, and of a test. */
export async function closeStdioSessions(): Promise<void> {
  const all = [...pool.values()].flatMap((kept) => [...kept]);
  pool.clear();
  await Promise.all(all.map(close));
}
