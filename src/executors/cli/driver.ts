import type { ChildProcess } from 'node:child_process';
import { giveWay } from '../../model/give-way.js';
import { decodeBody } from '../answer/body.js';
import { parseExactly } from '../answer/exact-json.js';
import { root } from '../answer/places.js';
import { readableText } from '../masking/decoding/decode.js';
import { codeOf } from '../connections/network.js';
import {
  failure,
  failureAfterSending,
  maxOutputBytes,
  startDeadline,
  stoppedResult,
  success,
  unusableAnswer,
  type Deadline,
  type Failure,
} from '../answer/outcome.js';
import { locateCommand, searchPath, workingDirectory } from '../command/place.js';
import { evidence } from './kind.js';
import { endSession, isOver, letGo, startSession } from '../command/process-session.js';
import { lastWords, startAdvice } from '../command/told.js';
import type { CliCall, CliConnection } from './types.js';
import type { DriverContext, ExecutorDriver, ExecutorResult, RunContext } from '../types.js';

/** How long the processes that a command has started may go on after it has ended. */
const drainMs = 1_000;
/** How many characters of a failed command's output are kept for people. */
const maxFailedText = 16_384;

export const cli: ExecutorDriver<CliCall, CliConnection> = {
  kind: 'cli',
  run: runCli,
  locate: (given, baseDirectory) => {
    const { command, program } = locateCommand(given, baseDirectory);
    return { connection: command, program };
  },
};

async function runCli(call: CliCall, context: DriverContext<CliConnection>): Promise<ExecutorResult> {
  const { connection } = context;
  const directory = workingDirectory(context.baseDirectory, connection.workingDirectory);
  if (directory === null) {
    return failure(
      'permanent',
      `the working directory of connection \`${call.connection}\` does not exist; create it or name another`,
    );
  }
  const deadline = startDeadline(context);
  try {
    if (deadline.whyStopped() !== null)
      return stoppedResult(context, 'abort', false, `\`${call.connection}\``);
    return await toResult(call, await runCommand(call, connection, directory, context, deadline), context);
  } finally {
    deadline.dispose();
  }
}

type Ended =
  | { readonly kind: 'not_started'; readonly code: string }
  | { readonly kind: 'stopped'; readonly why: 'timeout' | 'abort'; readonly isEnded: boolean }
  | { readonly kind: 'too_large' }
  | {
      readonly kind: 'exited';
      readonly exitCode: number | null;
      readonly signal: string | null;
      readonly stdout: Buffer;
      readonly stderr: Buffer;
      /** What became of processes that the command left running; null: it left none. */
      readonly left: 'was ended' | 'could not be ended' | null;
    };

function runCommand(
  call: CliCall,
  connection: CliConnection,
  cwd: string,
  context: RunContext,
  deadline: Deadline,
): Promise<Ended> {
  const env = childEnvironment(connection.env, context.idempotencyKey);
  const argv = [...connection.args, ...call.args];
  const stdin = call.stdin === null ? 'ignore' : 'pipe';
  let child: ChildProcess;
  try {
    // In a session of its own, so that a timeout ends its children too.
    child = startSession(connection.command, argv, { cwd, env, stdio: [stdin, 'pipe', 'pipe'] });
  } catch (error) {
    return Promise.resolve({ kind: 'not_started', code: codeOf(error) });
  }
  // It is no failure when a command does not read its input.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(call.stdin);
  return watch(child, deadline);
}

/** PATH, what the connection declares and the idempotency key: nothing else of the worker's own environment. */
function childEnvironment(
  declared: Readonly<Record<string, string>>,
  key: string | null,
): Record<string, string> {
  return {
    PATH: searchPath(),
    ...declared,
    ...(key === null ? {} : { IDEMPOTENCY_KEY: key }),
  };
}

async function watch(child: ChildProcess, deadline: Deadline): Promise<Ended> {
  const tooLarge = new AbortController();
  // Output that comes while the command is ended for another reason does not count: nobody reads it.
  const onTooLarge = (): void => (deadline.signal.aborted ? undefined : tooLarge.abort());
  const [stdout, stderr] = [collect(child.stdout, onTooLarge), collect(child.stderr, onTooLarge)];
  const cut = AbortSignal.any([deadline.signal, tooLarge.signal]);
  const isCut = new Promise<'cut'>((resolve) => cut.addEventListener('abort', () => resolve('cut')));
  const exit = new Promise<'exit'>((resolve) => child.once('exit', () => resolve('exit')));
  const failed = new Promise<Error>((resolve) => child.on('error', resolve));
  const first = await Promise.race([failed, exit, isCut]);
  if (first instanceof Error) return { kind: 'not_started', code: codeOf(first) };
  // The processes that it has started have a little time to end after it.
  const isOverInTime = first === 'exit' && (await Promise.race([isCut, isOver(child, drainMs)])) === true;
  const isEnded = isOverInTime || (await endSession(child));
  if (isOverInTime) await letGo(child);
  if (tooLarge.signal.aborted) return { kind: 'too_large' };
  const why = deadline.whyStopped();
  if (why !== null) return { kind: 'stopped', why, isEnded };
  const left = isOverInTime ? null : isEnded ? 'was ended' : 'could not be ended';
  const { exitCode, signalCode: signal } = child;
  return { kind: 'exited', exitCode, signal, stdout: stdout(), stderr: stderr(), left };
}

function collect(stream: NodeJS.ReadableStream | null, tooLarge: () => void): () => Buffer {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxOutputBytes) tooLarge();
    else chunks.push(chunk);
  });
  return () => Buffer.concat(chunks);
}

async function toResult(call: CliCall, ended: Ended, context: DriverContext): Promise<ExecutorResult> {
  const who = `command of connection \`${call.connection}\``;
  switch (ended.kind) {
    case 'not_started':
      return failure(
        'permanent',
        `the ${who} could not be started (${ended.code}); ${startAdvice(ended.code)}`,
      );
    case 'stopped':
      // It still runs: another attempt under its key would do the same beside it.
      return ended.isEnded || ended.why === 'abort'
        ? stoppedResult(context, ended.why, true, `the ${who}`)
        : unusableAnswer(
            context,
            `the ${who} did not answer within ${context.timeoutMs} ms and could not be ended`,
          );
    case 'too_large':
      return unusableAnswer(context, `the ${who} wrote over ${maxOutputBytes} bytes and was ended`);
    case 'exited':
      return ended.exitCode === 0 && ended.left === null
        ? toSuccess(ended, context, who)
        : await toExitFailure(ended, context, who);
  }
}

type Exited = Extract<Ended, { kind: 'exited' }>;

/** Mappings read what the command printed, so it has to be UTF-8: replacing bytes could make two values equal. */
function toSuccess({ stdout, stderr }: Exited, context: DriverContext, who: string): ExecutorResult {
  const read = decodeBody(stdout, undefined, context.excerpts);
  if (read.status === 'unreadable')
    return unusableAnswer(context, `what the ${who} wrote to its standard output is not UTF-8`);
  const json = parseExactly(read.text, { within: root, step: 'json' });
  if (json.status === 'too_large' || json.status === 'repeats')
    return unusableAnswer(context, `the ${who} wrote JSON that cannot be read: ${json.why}`);
  const { value, exact } = json.status === 'parsed' ? json : { value: null, exact: [] };
  const output = { exitCode: 0, stdout: read.text, stderr: readableText(stderr), json: value };
  return success(evidence, output, { exact });
}

/** `timeout` exits with 124 where it has ended its command, and a shell with 128 plus the signal's number where a signal has. */
function isExitOfEnded(exitCode: number): boolean {
  return exitCode === 124 || (exitCode > 128 && exitCode < 160);
}

/** Whatever the command said, it says nothing about what the processes that it left running have done. */
const describeLeftRunning = (left: string): string =>
  ` while something that it had started was still running, which ${left} (have the command \`wait\` for all that it starts)`;

/** Each text is masked in one piece, so others get a turn between two texts. */
async function toExitFailure(
  { exitCode, signal, ...ended }: Exited,
  context: DriverContext,
  who: string,
): Promise<Failure> {
  if (exitCode === null)
    return failureAfterSending(context, 'permanent', `the ${who} was ended by ${signal ?? 'a signal'}`);
  const { excerpts } = context;
  const [stdout, stderr] = [readableText(ended.stdout), readableText(ended.stderr)];
  const json = parseExactly(stdout);
  const left = ended.left === null ? '' : describeLeftRunning(ended.left);
  await giveWay();
  const message = `the ${who} exited with code ${exitCode}${left}${lastWords(stderr, excerpts)}`;
  await giveWay();
  const start = excerpts.start(stdout, maxFailedText, '');
  await giveWay();
  const response = {
    exitCode,
    stdout: start,
    stderr: excerpts.end(stderr, maxFailedText, ''),
    json: json.status === 'parsed' ? json.value : null,
  };
  if (ended.left !== null) return failureAfterSending(context, 'permanent', message, { response });
  if (!isExitOfEnded(exitCode)) return failure('permanent', message, { response });
  const means = 'which says that what it had started was ended before its own end';
  return failureAfterSending(context, 'permanent', `${message}; ${means}`, { response });
}
