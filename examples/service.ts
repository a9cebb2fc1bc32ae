// What the example services share: JSON over HTTP, one effect per Idempotency-Key, a file that outlives the process,
// failures on demand, and an end together with whoever started them.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** What a service remembers: its own items, and the answer of each idempotency key. */
interface Book<Item> {
  items: Item[];
  answers: Record<string, { readonly request: string; readonly answer: Answer }>;
}

export interface Route<Item> {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** POST routes have effects: they are answered once per key, and they can be made to fail. */
  handle(book: Book<Item>, body: unknown): Answer;
}

export interface Service<Item> {
  readonly name: string;
  readonly routes: readonly Route<Item>[];
  /** Where to keep the book; null: in memory only. */
  readonly file: string | null;
}

/** Scripted by `POST /_fail`: statuses to answer instead of acting, and delays after acting, one for each request. */
interface Script {
  statuses: number[];
  delaysMs: number[];
}

/** `PAYROLL_DATA` and the like, else a file in the product's data folder, else nothing is kept. */
export function dataFile(name: string): string | null {
  const named = process.env[`${name.toUpperCase()}_DATA`];
  if (named !== undefined && named !== '') return named;
  const home = process.env['COUNTERSIGN_HOME'];
  return home === undefined || home === '' ? null : join(home, 'examples', `${name}.json`);
}

const maxBodyBytes = 1_048_576;

export function refuse(status: number, message: string): Answer {
  return { status, body: { error: message } };
}

export async function startService<Item>(service: Service<Item>): Promise<Server> {
  const book = load<Item>(service.file);
  const script: Script = { statuses: [], delaysMs: [] };
  const server = createServer((request, response) => {
    respond(service, book, script, request)
      .catch((error: unknown) => refuse(500, error instanceof Error ? error.message : 'failed'))
      .then((answer) => send(response, answer))
      .catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(process.env['PORT'] ?? 0), process.env['HOST'] ?? '127.0.0.1', resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  console.log(`${service.name} listening on http://${address}:${port}`);
  stopWithParent(() => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
  return server;
}

/** Ends with SIGTERM and SIGINT, and when stdin closes where STOP_WITH_PARENT=1: a killed parent leaves nothing behind. */
export function stopWithParent(stop: () => void): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
  if (process.env['STOP_WITH_PARENT'] !== '1') return;
  process.stdin.on('end', stop).on('close', stop).on('error', stop).resume();
}

async function respond<Item>(
  service: Service<Item>,
  book: Book<Item>,
  script: Script,
  request: IncomingMessage,
): Promise<Answer> {
  const path = new URL(request.url ?? '/', 'http://service').pathname;
  const text = await readText(request);
  if (text === null) return refuse(413, 'the body is too large');
  const body = parse(text);
  if (request.method === 'POST' && body === undefined) return refuse(400, 'the body is not JSON');
  if (request.method === 'POST' && path === '/_fail') return setScript(script, body);
  const route = service.routes.find((one) => one.method === request.method && one.path === path);
  if (route === undefined) return refuse(404, `no ${request.method ?? ''} ${path} here`);
  if (route.method === 'GET') return route.handle(book, body);
  const status = script.statuses.shift();
  if (status !== undefined) return refuse(status, 'failing, as asked');
  const answer = once(service, book, route, request.headers['idempotency-key'], body);
  await new Promise((resolve) => setTimeout(resolve, script.delaysMs.shift() ?? 0));
  return answer;
}

/** The same key with the same body is the same effect; with another body it is refused. */
function once<Item>(
  service: Service<Item>,
  book: Book<Item>,
  route: Route<Item>,
  key: string | string[] | undefined,
  body: unknown,
): Answer {
  if (typeof key !== 'string') return stored(service, book, route.handle(book, body));
  const request = createHash('sha256')
    .update(`${route.path}\n${JSON.stringify(body)}`)
    .digest('hex');
  const known = Object.hasOwn(book.answers, key) ? book.answers[key] : undefined;
  if (known !== undefined && known.request !== request)
    return refuse(422, 'this Idempotency-Key came with another body');
  if (known !== undefined) return known.answer;
  const answer = route.handle(book, body);
  book.answers[key] = { request, answer };
  return stored(service, book, answer);
}

/** Durable before it is answered: whoever was told is told the same after a restart. */
function stored<Item>(service: Service<Item>, book: Book<Item>, answer: Answer): Answer {
  if (service.file === null) return answer;
  mkdirSync(dirname(service.file), { recursive: true, mode: 0o700 });
  writeFileSync(`${service.file}.new`, JSON.stringify(book), { mode: 0o600 });
  renameSync(`${service.file}.new`, service.file);
  return answer;
}

function load<Item>(file: string | null): Book<Item> {
  if (file === null) return { items: [], answers: {} };
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Book<Item>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { items: [], answers: {} };
    throw error;
  }
}

function setScript(script: Script, body: unknown): Answer {
  const { statuses = [], delaysMs = [] } = (body ?? {}) as { statuses?: unknown; delaysMs?: unknown };
  if (!isNumbers(statuses) || !isNumbers(delaysMs))
    return refuse(422, 'statuses and delaysMs are lists of numbers');
  Object.assign(script, { statuses: [...statuses], delaysMs: [...delaysMs] });
  return { status: 200, body: script };
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number');
}

async function readText(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maxBodyBytes) chunks.push(chunk);
  }
  return size > maxBodyBytes ? null : Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return text === '' ? {} : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(answer.body));
}
