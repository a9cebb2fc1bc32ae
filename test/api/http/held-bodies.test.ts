import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { makeBodyRoom } from '../../../src/api/http/held-bodies.js';
import { until } from '../../../testing/until.js';
import { codes, startApi, type Harness } from '../harness.js';

const mebibyte = 1_048_576;

describe('the bodies of requests that are not answered yet', () => {
  let api: Harness;
  const sockets: net.Socket[] = [];
  before(async () => {
    api = await startApi();
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    await api.stop();
  });
  const path = '/v1/flows/pay/runs';
  /** Announces a body, and sends nothing of it. */
  const announce = async (bytes: number): Promise<void> => {
    const { hostname, port } = new URL(api.url);
    const socket = net.connect(Number(port), hostname);
    socket.on('error', () => undefined);
    sockets.push(socket);
    await once(socket, 'connect');
    const head = `authorization: Bearer ${api.keys['agent']}\r\ncontent-type: application/json\r\ncontent-length: ${bytes}`;
    socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\n${head}\r\n\r\n`);
  };
  /** Sends a body without saying before how long it is. */
  const sendInChunks = async (text: string): Promise<number> => {
    const headers = { authorization: `Bearer ${api.keys['agent']}`, 'content-type': 'application/json' };
    const sent = request(`${api.url}${path}`, { method: 'POST', headers });
    sent.write(text.slice(0, 1));
    sent.end(text.slice(1));
    const [response] = await once(sent, 'response');
    response.resume();
    return response.statusCode as number;
  };
  const ofBytes = (bytes: number): string => `{${' '.repeat(bytes - 2)}}`;

  it('are 64 MiB of one principal; a request over it is 429 and not kept, others are served, and an answer makes room', async () => {
    const runs = async (): Promise<number> => (await api.ask('agent', 'GET', '/v1/runs')).body.data.length;
    await Promise.all(Array.from({ length: 63 }, () => announce(mebibyte)));
    await announce(mebibyte - 1_000);
    const refused = await until(
      'bodies that take all the room',
      async () => {
        const asked = await api.ask('agent', 'POST', path, ofBytes(1_001));
        return asked.status === 429 ? asked : null;
      },
      10_000,
    );
    assert.deepEqual(codes(refused), [429, 'RATE_LIMITED'], refused.text);
    assert.equal(refused.headers.get('retry-after'), '2');
    assert.equal(refused.body.limit, 64 * mebibyte);
    assert.match(refused.body.detail, /requests of `agent` that are not answered yet would have more than/);
    const before = await runs();
    assert.equal((await api.ask('agent', 'POST', path, ofBytes(1_001))).status, 429);
    assert.equal(await sendInChunks(ofBytes(1_001)), 429);
    assert.equal(await runs(), before);
    assert.equal((await api.ask('agent', 'POST', path, ofBytes(1_000))).status, 201, 'it fits');
    assert.equal(await sendInChunks(ofBytes(1_000)), 201);
    assert.equal((await api.ask('employee', 'POST', path, ofBytes(mebibyte))).status, 201);
    sockets.shift()?.destroy();
    await until(
      'room for another body',
      async () => (await api.ask('agent', 'POST', path, ofBytes(mebibyte))).status === 201 || null,
      5_000,
    );
  });

  it('are bounded for all together, and each gives its room back once', () => {
    const room = makeBodyRoom({ each: 10, all: 25 });
    const [a, b, c] = [room.open('a'), room.open('b'), room.open('c')];
    for (const held of [a, b]) assert.equal(held.take(10), null);
    assert.equal(c.take(5), null);
    const refused = c.take(1);
    assert.equal(refused?.code, 'RATE_LIMITED');
    assert.match(refused.detail, /^with this one, the requests that are not answered yet/);
    a.leave();
    a.leave();
    assert.equal(c.take(5), null);
    assert.equal(room.open('a').take(6)?.code, 'RATE_LIMITED');
    assert.equal(room.open('a').take(5), null);
  });
});
