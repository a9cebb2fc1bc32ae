import type { IncomingMessage } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { PassThrough, pipeline, Readable, Transform } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { giveWay, makeTurns } from '../../../model/give-way.js';
import { isObject, type Json, type JsonObject } from '../../../model/values/json.js';
import { unpackBody, unpackStreams } from '../../answer/body.js';
import { markJson } from '../../answer/exact-json.js';
import { readableText } from '../../masking/decoding/decode.js';
import type { Excerpts } from '../../masking/mask.js';
import { maxLines, maxMessageBytes, maxMessages } from '../limits.js';
import { makeEventReader, toReadableBody } from '../message.js';
import { parseJson, saysSessionLost, whatAnswers, type Answering } from './refused.js';
import { isWithoutId, isEmptyJson, wordsOf, type Words } from '../words.js';
import type { Stream, Waiting } from './streams.js';
import { codeOf, readCapped } from '../../connections/network.js';

// Hands the body of an HTTP answer to the SDK in a form that it may read; and reads the words of a server that refuses.

/** Content types that servers give to a JSON message: some name it by the protocol. */
const isJsonType = (type: string): boolean =>
  /^\s*(application\/(json|json-rpc|jsonrequest)|text\/json)\s*(;|,|$)/i.test(type);
const isEventsType = (type: string): boolean => /^\s*text\/event-stream\b/i.test(type);

/**
 * The answer as the SDK reads it. `waiting` null: it is the server's own stream. `stream` null: it answers a notification or a
 * reply, and is not read, because it cannot be wrong and brings nothing.
 */
export async function toFetchResponse(
  response: IncomingMessage,
  status: number,
  waiting: Waiting | null,
  stream: Stream | null,
): Promise<Response> {
  const headers = toHeaders(response);
  const type = response.headers['content-type'] ?? '';
  // The server's own stream is one of events: anything else brings nothing.
  if (stream === null || (waiting === null && !isEventsType(type))) {
    response.destroy();
    stream?.end();
    return new Response(null, { status, headers });
  }
  const isLeft = status === 202 && waiting !== null;
  // A 202 leaves the answer to another stream, where it is not in its own body, so that a problem of this body is the call's only
  // where no other stream brings the answer.
  const report = isLeft || waiting === null ? stream.leave : waiting.onBroken;
  const reportUnreadable = (message: string): void =>
    report({ errorClass: 'permanent', sent: true, message, isUnreadable: true });
  const reportUnanswered = (message: string): void =>
    report({ errorClass: 'connection', sent: true, message });
  const unpacked = unpackStreams(response.headers['content-encoding']);
  if (unpacked === null) {
    response.destroy();
    reportUnreadable('its answer has a content encoding that is not read here');
    stream.end();
    if (isLeft) return new Response(null, { status });
    throw new Error('the answer cannot be read');
  }
  if (status !== 202 && !isJsonType(type) && !isEventsType(type))
    reportUnreadable('its answer is neither JSON nor a stream of events');
  const { isAnswer } = stream;
  const reading = { isLeft, reportUnreadable, reportUnanswered, isAnswer };
  const reader = makeMessageReader(type, waiting?.id ?? null, reading);
  const body = pipeline([response, ...unpacked, makeByteLimit(reportUnreadable), reader], (error) => {
    const code = error ? codeOf(error) : '';
    if (/^(Z_|ERR__ERROR_)/.test(code)) reportUnreadable(`its answer is packed wrongly (${code})`);
    // The SDK cancels what it need not read: only when the server breaks off, the answer is broken.
    else if (error && !['ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR'].includes(code))
      reportUnanswered('its answer broke off');
    stream.end();
  }) as unknown as Transform;
  if (status === 204 || status === 205) {
    body.resume();
    return new Response(null, { status, headers });
  }
  const respond = (as: number): Response =>
    new Response(Readable.toWeb(body) as ReadableStream<Uint8Array>, { status: as, headers });
  if (!isLeft) return respond(status);
  // The SDK does not read what a 202 contains, so what may be the answer is given to it as a 200.
  if (isEventsType(type)) return respond(200);
  if (isJsonType(type)) {
    const answer = await textOf(body).catch(() => '');
    if (answer !== '') return new Response(answer, { status: 200, headers });
  } else {
    body.resume();
    reportUnanswered('it answered 202, and no stream is open that could bring the answer');
  }
  return new Response(null, { status, headers });
}

function toHeaders(response: IncomingMessage): [string, string][] {
  return Object.entries(response.headers).flatMap(([name, value]): [string, string][] =>
    typeof value === 'string' && !['content-encoding', 'content-length'].includes(name)
      ? [[name, name === 'content-type' && isJsonType(value) ? 'application/json' : value]]
      : [],
  );
}

interface Reading {
  /** Another stream may bring the answer: JSON that does not contain it is left out. */
  readonly isLeft: boolean;
  reportUnreadable(message: string): void;
  reportUnanswered(message: string): void;
  isAnswer(message: Json): boolean;
}

/** A stream that gives messages as the SDK may parse them: the whole of a JSON answer, or each event of a stream of events. */
function makeMessageReader(type: string, asked: Json, reading: Reading): Transform {
  const { reportUnreadable, reportUnanswered } = reading;
  const isEvents = isEventsType(type);
  if (!isEvents && !isJsonType(type)) return new PassThrough();
  const decode = makeStrictDecoder(() => reportUnreadable('its answer is not UTF-8'));
  let isAnswered = false;
  /** It may be about another message, such as a reply to the server: the answer is waited for as long as the stream goes on. */
  let withoutId: JsonObject | null = null;
  const readEvents = makeEventReader((message) => {
    isAnswered = reading.isAnswer(message) || isAnswered;
    if (isObject(message) && isWithoutId(message['error'])) withoutId = message;
  });
  const held: string[] = [];
  let [lines, count] = [0, 0];
  const refuse = (why: string): Error => {
    reportUnreadable(why);
    return new Error(why);
  };
  // The SDK reads what it is given at once: it is given little at a time, and others get their turn in between.
  const pushAll = async (to: Transform, text: string): Promise<undefined> => {
    const turn = makeTurns();
    for (const ended of readEvents(text)) {
      if (typeof ended !== 'string') throw refuse(`an event of its answer cannot be read: ${ended.why}`);
      lines += 1;
      if (ended !== '') count += 1;
      if (lines > maxLines || count > maxMessages) {
        throw refuse(`its answer has over ${maxMessages} events or ${maxLines} lines`);
      }
      if (ended !== '') to.push(ended);
      if (ended !== '' && count % 64 === 0) await giveWay();
      await turn();
    }
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const text = decode(chunk);
      if (text === null) return done(new Error('the answer cannot be read'));
      if (isEvents) return void pushAll(this, text).then(done, done);
      held.push(text);
      done();
    },
    flush(done) {
      const rest = decode();
      if (rest === null) return done(new Error('the answer cannot be read'));
      if (!isEvents) return done(null, readWhole(held.join('') + rest, asked, reading));
      void pushAll(this, rest).then(() => {
        if (isAnswered) return done();
        if (withoutId === null || asked === null || reading.isLeft)
          reportUnanswered('its stream of events ended without the answer');
        else this.push(`data: ${JSON.stringify({ ...withoutId, id: asked })}\n\n`);
        done();
      }, done);
    },
  });
}

/** The whole of a JSON answer as the SDK may parse it; empty where it is not for the SDK. */
function readWhole(text: string, asked: Json, to: Reading): string {
  const readable = toReadableBody(text, asked);
  const answer = readable.status === 'readable' ? readable.answer : 'none';
  if (answer === 'missing' || (to.isLeft && answer === 'none'))
    to.reportUnanswered('its JSON does not contain the answer');
  if (to.isLeft && answer !== 'given') return '';
  if (readable.status === 'readable') return readable.text;
  to.reportUnreadable(`its answer ${readable.why}`);
  return '';
}

function makeByteLimit(reportUnreadable: (message: string) => void): Transform {
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size <= maxMessageBytes) return done(null, chunk);
      reportUnreadable(`its answer is over ${maxMessageBytes} bytes`);
      done(new Error('the answer is too large'));
    },
  });
}

/** Decodes UTF-8 in pieces. Bytes that are not UTF-8 are not replaced: `onOther` is called, and the result is null. */
function makeStrictDecoder(onOther: () => void): (chunk?: Buffer) => string | null {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  return (chunk) => {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
    } catch {
      onOther();
      return null;
    }
  };
}

const maxRefusalBytes = 65_536;

/** What a server wrote beside a status that is no success. */
export interface RefusalBody {
  /** Its words, not masked; null: there are none. */
  readonly words: Words | null;
  /** Does it say that the session of the message is not known? */
  readonly namesSession: boolean;
  readonly answers: Answering;
}

/** `request`: the id of the request, null where the message was none; and the session that it was in. */
export interface RefusedRequest {
  readonly id: Json;
  readonly session: string | null;
}

/** Words are those of a JSON-RPC error, else the body, where it is JSON or plain text. */
export async function readRefusal(
  response: IncomingMessage,
  excerpts: Excerpts,
  request: RefusedRequest,
): Promise<RefusalBody> {
  const unread: RefusalBody = { words: null, namesSession: false, answers: 'unread' };
  const read = await readCapped(response, maxRefusalBytes);
  if (read.status !== 'read') return unread;
  const encoding = response.headers['content-encoding'];
  const unpacked = await unpackBody(read.bytes, encoding, maxRefusalBytes, excerpts);
  if (unpacked.status !== 'unpacked') return unread;
  const text = readableText(unpacked.bytes)
    .replace(/^\ufeff/, '')
    .trim();
  const saysLost = (said: string): boolean => saysSessionLost(said, request.session);
  const answers = whatAnswers(text, request.id, request.session);
  const marked = markJson(text);
  const error = marked.status === 'marked' && isObject(marked.value) ? marked.value['error'] : undefined;
  const words = isObject(error) ? wordsOf(error) : null;
  if (words !== null && words[0] !== '') {
    return { words, namesSession: /session/i.test(words[0]) || saysLost(words.join(' ')), answers };
  }
  const plain = parseJson(text);
  const isSilent =
    plain === undefined ? !isPlainText(text, response.headers['content-type']) : isEmptyJson(plain);
  return { words: isSilent ? null : [text], namesSession: !isSilent && saysLost(text), answers };
}

/** Not a page, of which nobody could read the beginning, and not the bytes of something else. */
function isPlainText(text: string, type = 'text/plain'): boolean {
  return /^\s*text\/plain\b/i.test(type) && /^[^<]/.test(text) && !text.includes('\0');
}
