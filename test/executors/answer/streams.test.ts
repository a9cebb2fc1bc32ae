// Which stream of an MCP session may still bring the answer, and what the call is told where none may.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HttpProblem } from '../../../src/executors/mcp/http/http.js';
import { makeStreams, type Stream } from '../../../src/executors/mcp/http/streams.js';

const answer = { jsonrpc: '2.0', id: 1, result: {} };
const lost: HttpProblem = { errorClass: 'connection', sent: true, message: 'left' };
const unread: HttpProblem = { errorClass: 'permanent', sent: true, message: 'unread', isUnreadable: true };

interface Session {
  readonly own: Stream;
  readonly told: readonly string[];
  request(id: number): Stream;
}

/** A session with the server's own stream. `told`: what its requests were told, each under its id. */
function openSession(): Session {
  const streams = makeStreams();
  const told: string[] = [];
  const request = (id: number): Stream =>
    streams.begin({ id, onBroken: ({ message }) => void told.push(`${id}: ${message}`) });
  return { own: streams.begin(null), told, request };
}

describe('a call whose answer was left to other streams', () => {
  test('is told nothing where another stream has brought it, whatever became of its own body', () => {
    const { own, told, request } = openSession();
    const body = request(1);
    assert.equal(own.isAnswer(answer), true);
    own.end();
    body.leave(unread);
    body.end();
    assert.deepEqual(told, []);
  });

  test('is told where its body only seemed to bring it, once no other stream is open', () => {
    const { own, told, request } = openSession();
    const body = request(1);
    body.isAnswer(answer);
    body.leave(lost);
    body.end();
    assert.deepEqual(told, []);
    own.end();
    assert.deepEqual(told, ['1: left']);
  });

  for (const when of ['before', 'after'])
    test(`is told why the server's own stream cannot be read, which broke ${when} the 202`, () => {
      const { own, told, request } = openSession();
      const body = request(1);
      const breakOwn = (): void => {
        own.isAnswer(answer);
        own.leave(unread);
        own.end();
      };
      if (when === 'before') breakOwn();
      body.leave(lost);
      body.end();
      if (when === 'after') breakOwn();
      assert.deepEqual(told, ['1: unread']);
    });

  test('is not told that the own stream ended without it, where its own body says more', () => {
    const { own, told, request } = openSession();
    const body = request(1);
    own.leave(lost);
    own.end();
    body.leave(unread);
    body.end();
    assert.deepEqual(told, ['1: unread']);
  });
});

describe('a call is not told what became of a stream before it or beside it', () => {
  test('that of the server, which broke before the call', () => {
    const { own, told, request } = openSession();
    own.leave(unread);
    own.end();
    const body = request(1);
    body.leave(lost);
    body.end();
    assert.deepEqual(told, ['1: left']);
  });

  test('that of the server, where the answer was not left to it', () => {
    const { own, told, request } = openSession();
    const body = request(1);
    own.leave(unread);
    own.end();
    body.end();
    assert.deepEqual(told, []);
  });

  test('that of an earlier request, which breaks during the call', () => {
    const { own, told, request } = openSession();
    const earlier = request(0);
    const body = request(1);
    earlier.leave(unread);
    earlier.end();
    own.end();
    assert.deepEqual(told, []);
    body.leave(lost);
    body.end();
    assert.deepEqual(told, ['1: left']);
  });
});
