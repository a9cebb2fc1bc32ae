import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import net from 'node:net';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { readBody } from '../../../src/api/http/bodies/body.js';
import { makeBodyRoom } from '../../../src/api/http/bodies/held-bodies.js';
import { until } from '../../../testing/until.js';
import { codes, startApi, type Harness } from '../harness.js';

const limits = { each: 60_000, all: 150_000, spare: 4_000 };

describe('the bodies of requests that are not answered yet', () => {
  let api: Harness;
  const sockets: net.Socket[] = [];
  /** What has been taken of each principal's room, and how often it was taken or refused. */
  const room = makeBodyRoom(limits);
  const taken = new Map<string, number>();
  let asked = 0;
  const bodies: typeof room = {
    open: (principal) => {
      const held = room.open(principal);
      const take: typeof held.take = (bytes) => {
        const full = held.take(bytes);
        asked += 1;
        if (full === null) taken.set(principal, (taken.get(principal) ?? 0) + bytes);
        return full;
      };
      return { ...held, take };
    },
  };
  before(async () => {
    api = await startApi((deps) => ({ ...deps, bodies }));
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    await api.stop();
  });
  const path = '/v1/flows/pay/runs';
  /** Announces a body, and sends `sent` bytes of it. */
  const begin = async (by: string, announced: number, sent: number): Promise<net.Socket> => {
    const { hostname, port } = new URL(api.url);
    const socket = net.connect(Number(port), hostname);
    socket.on('error', () => undefined);
    sockets.push(socket);
    await once(socket, 'connect');
    const head = `authorization: Bearer ${api.keys[by]}\r\ncontent-type: application/json\r\ncontent-length: ${announced}`;
    socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\n${head}\r\n\r\n${' '.repeat(sent)}`);
    return socket;
  };
  /** Has so many bytes of that principal come and wait; resolves when they have. */
  const fill = async (by: string, bytes: number): Promise<net.Socket> => {
    const before = taken.get(by) ?? 0;
    const socket = await begin(by, bytes + 1, bytes);
    await until('bytes that have come', () => taken.get(by) === before + bytes);
    return socket;
  };
  /** Lets go of them; resolves when they are. */
  const free = async (by: string, held: readonly net.Socket[]): Promise<void> => {
    for (const socket of held) socket.destroy();
    await until('room', () => {
      const one = room.open(by);
      const isFree = one.take(limits.each) === null;
      one.leave();
      return isFree;
    });
  };
  /** Sends a body without saying before how long it is. */
  const sendInChunks = async (by: string, text: string): Promise<number> => {
    const headers = { authorization: `Bearer ${api.keys[by]}`, 'content-type': 'application/json' };
    const sent = request(`${api.url}${path}`, { method: 'POST', headers });
    sent.write(text.slice(0, 1));
    sent.end(text.slice(1));
    const [response] = await once(sent, 'response');
    response.resume();
    return response.statusCode as number;
  };
  const ofBytes = (bytes: number): string => `{${' '.repeat(bytes - 2)}}`;
  const send = (by: string, bytes: number) => api.ask(by, 'POST', path, ofBytes(bytes));

  it('have their room with each principal; one over it is 429 and not kept, others are served, and an answer makes room', async () => {
    const runs = async (): Promise<number> => (await api.ask('agent', 'GET', '/v1/runs')).body.data.length;
    const held = await fill('agent', limits.each - 1_000);
    const refused = await send('agent', 1_001);
    assert.deepEqual(codes(refused), [429, 'RATE_LIMITED'], refused.text);
    assert.equal(refused.headers.get('retry-after'), '2');
    assert.equal(refused.body.limit, limits.each);
    assert.match(refused.body.detail, /requests of `agent` that are not answered yet would have more than/);
    const before = await runs();
    assert.equal(await sendInChunks('agent', ofBytes(1_001)), 429);
    assert.equal(await runs(), before);
    assert.equal((await send('agent', 1_000)).status, 201, 'it fits');
    assert.equal(await sendInChunks('agent', ofBytes(1_000)), 201);
    assert.equal((await send('employee', limits.each)).status, 201);
    await free('agent', [held]);
    assert.equal((await send('agent', limits.each)).status, 201);
  });

  it('take room as they come: what is only announced keeps nobody out', async () => {
    const before = asked;
    await Promise.all(Array.from({ length: 20 }, () => begin('agent', limits.each, 1)));
    await until('the first bytes of all', () => asked === before + 20);
    assert.equal((await send('agent', limits.each - 20)).status, 201);
    await free('agent', sockets);
  });

  it('where they fill the room of all, a principal that holds little is served still', async () => {
    const held = [];
    for (const by of ['agent', 'employee', 'manager']) held.push(await fill(by, limits.all / 3));
    const refused = await send('finance', limits.spare + 1);
    assert.deepEqual(codes(refused), [429, 'RATE_LIMITED'], refused.text);
    assert.equal(refused.body.limit, limits.all);
    assert.equal((await send('agent', 100)).status, 429, 'it holds much');
    assert.equal((await send('finance', limits.spare)).status, 201);
    assert.equal((await send('admin', 2)).status, 201);
    await free('agent', held);
    assert.equal((await send('finance', limits.spare + 1)).status, 201);
  });
});

describe('the room for bodies', () => {
  it('is bounded for all together, and each gives its room back once, also where it is refused', () => {
    const room = makeBodyRoom({ each: 10, all: 25, spare: 2 });
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((by) => room.open(by));
    assert.ok(a && b && c && d);
    for (const held of [a, b]) assert.equal(held.take(10), null);
    assert.equal(c.take(5), null);
    assert.equal(d.take(2), null, 'it is spare');
    const refused = d.take(1);
    assert.equal(refused?.code, 'RATE_LIMITED');
    assert.match(refused.detail, /^with this one, the requests that are not answered yet/);
    d.leave();
    assert.equal(room.open('d').take(3)?.code, 'RATE_LIMITED');
    a.leave();
    a.leave();
    assert.equal(c.take(5), null);
    assert.equal(room.open('a').take(6)?.code, 'RATE_LIMITED');
    assert.equal(room.open('a').take(5), null);
  });

  it('has nothing of a body that it refused, while the rest of it still comes', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const head = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
    const sent = Object.assign(new Readable({ read: () => undefined }), { headers: head });
    const held = makeBodyRoom({ each: 1_000, all: 1_000, spare: 0 }).open('a');
    const read = readBody(sent as unknown as IncomingMessage, { kind: 'ignored' }, held);
    const push = (bytes: number): WeakRef<Buffer> => {
      const chunk = Buffer.alloc(bytes);
      sent.push(chunk);
      return new WeakRef(chunk);
    };
    const chunks = [push(900)];
    await until('the first is read', () => sent.readableLength === 0);
    chunks.push(push(200));
    const refused = await read;
    assert.equal(refused.kind === 'problem' ? refused.code : '', 'RATE_LIMITED');
    chunks.push(push(300));
    await until('nothing of it is held', () => {
      collectGarbage();
      return chunks.every((chunk) => chunk.deref() === undefined);
    });
    assert.equal(held.take(1_000), null);
  });

  it('is taken by a body of many small chunks, which are joined while it comes: it is whole in the end', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const head = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
    const sent = Object.assign(new Readable({ read: () => undefined }), { headers: head });
    const held = makeBodyRoom({ each: 1_000, all: 1_000, spare: 0 }).open('a');
    const read = readBody(sent as unknown as IncomingMessage, { kind: 'ignored' }, held);
    const text = Array.from({ length: 1_000 }, (_, at) => String(at % 10)).join('');
    const chunks = [...text].map((letter) => {
      const chunk = Buffer.from(letter);
      sent.push(chunk);
      return new WeakRef(chunk);
    });
    await until('most chunks are joined, and are not held beside what they are joined to', () => {
      collectGarbage();
      return chunks.filter((chunk) => chunk.deref() !== undefined).length < 300;
    });
    sent.push(null);
    const raw = await read;
    assert.equal(raw.kind === 'problem' ? raw.code : raw.bytes.toString(), text);
    assert.equal(held.take(1)?.code, 'RATE_LIMITED');
  });
});
