import type { IncomingMessage } from 'node:http';
import { PassThrough, pipeline, Readable, Transform } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { giveWay, makeTurns } from '../../model/give-way.js';
import { isObject, type Json } from '../../model/json.js';
import { unpackBody, unpackStreams } from '../answer/body.js';
import { readableText } from '../masking/decode.js';
import type { Told } from '../masking/mask.js';
import type { HttpProblem } from './http.js';
import { maxLines, maxMessageBytes, maxMessages } from './limits.js';
import { readableBody, readableEvents } from './message.js';
import { codeOf, readCapped } from '../connections/network.js';

// The body of an HTTP answer, as the SDK may read it; and what a server says in words when it refuses.

/** Some servers call a message by what it is. */
const isJsonType = (type: string): boolean =>
  /^\s*(application\/(json|json-rpc|jsonrequest)|text\/json)\s*(;|,|$)/i.test(type);
const isEventsType = (type: string): boolean => /^\s*text\/event-stream\b/i.test(type);

export interface Waiting {
  /** The id of the request that this is the answer to. */
  readonly id: Json;
  note(problem: HttpProblem): void;
  onBroken(): void;
}

/** What the SDK reads of it. `waiting` null: nobody waits for this answer. */
export function asFetched(response: IncomingMessage, status: number, waiting: Waiting | null): Response {
  const broken = (problem: Omit<HttpProblem, 'sent'>): void => {
    waiting?.note({ ...problem, sent: true });
    waiting?.onBroken();
  };
  const unreadable = (message: string): void =>
    broken({ errorClass: 'permanent', message, isUnreadable: true });
  const unpacked = unpackStreams(response.headers['content-encoding']);
  if (unpacked === null) {
    response.destroy();
    unreadable('its answer has a content encoding that is not read here');
    throw new Error('the answer cannot be read');
  }
  const type = response.headers['content-type'] ?? '';
  // 202 has no answer in it, and one that says so is waited for elsewhere.
  if (status !== 202 && !isJsonType(type) && !isEventsType(type))
    unreadable('its answer is neither JSON nor a stream of events');
  const unanswered = (): void =>
    broken({ errorClass: 'connection', message: 'its stream of events ended without the answer' });
  const streams = [
    response,
    ...unpacked,
    capped(unreadable),
    messages(type, waiting?.id ?? null, unreadable, unanswered),
  ];
  const body = pipeline(streams, (error) => {
    // The SDK cancels what it need not read; only the other side's break is one.
    if (!error || ['ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR'].includes(codeOf(error))) return;
    if (/^(Z_|ERR__ERROR_)/.test(codeOf(error)))
      return unreadable(`its answer is packed wrongly (${codeOf(error)})`);
    broken({ errorClass: 'connection', message: 'its answer broke off' });
  }) as unknown as Transform;
  const headers = Object.entries(response.headers).flatMap(([name, value]): [string, string][] =>
    typeof value === 'string' && !['content-encoding', 'content-length'].includes(name)
      ? [[name, name === 'content-type' && isJsonType(value) ? 'application/json' : value]]
      : [],
  );
  if (status === 204 || status === 205) {
    body.resume();
    return new Response(null, { status, headers });
  }
  return new Response(Readable.toWeb(body) as ReadableStream<Uint8Array>, { status, headers });
}

/** Messages as the SDK may parse them: the whole of a JSON answer, each event of a stream. */
function messages(
  type: string,
  asked: Json,
  unreadable: (message: string) => void,
  unanswered: () => void,
): Transform {
  const isEvents = isEventsType(type);
  if (!isEvents && !isJsonType(type)) return new PassThrough();
  const decode = strictDecoder(() => unreadable('its answer is not UTF-8'));
  const events = readableEvents(asked);
  const held: string[] = [];
  let [lines, count] = [0, 0];
  let mayBeAnswered = false;
  const refused = (why: string): Error => {
    unreadable(why);
    return new Error(why);
  };
  // The SDK reads what it is given at once: it is given little, and others have their turn after it.
  const pushAll = async (to: Transform, text: string): Promise<undefined> => {
    const turn = makeTurns();
    for (const ended of events(text)) {
      if (typeof ended !== 'string') throw refused(`an event of its answer cannot be read: ${ended.why}`);
      lines += 1;
      if (ended !== '') count += 1;
      if (lines > maxLines || count > maxMessages) {
        throw refused(`its answer has over ${maxMessages} events or ${maxLines} lines`);
      }
      // A notification may have these words too: then the call waits until its deadline.
      mayBeAnswered ||= /"(result|error)"/.test(ended);
      if (ended !== '') to.push(ended);
      if (ended !== '' && count % 64 === 0) await giveWay();
      await turn();
    }
  };
  const whole = (text: string): string => {
    const readable = readableBody(text, asked);
    if (readable.status === 'unreadable') unreadable(`its answer ${readable.why}`);
    return readable.status === 'unreadable' ? '' : readable.text;
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
      if (!isEvents) return done(null, whole(held.join('') + rest));
      void pushAll(this, rest).then(() => {
        if (!mayBeAnswered) unanswered();
        done();
      }, done);
    },
  });
}

function capped(unreadable: (message: string) => void): Transform {
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size <= maxMessageBytes) return done(null, chunk);
      unreadable(`its answer is over ${maxMessageBytes} bytes`);
      done(new Error('the answer is too large'));
    },
  });
}

/** Of bytes that are not UTF-8, which nothing is put in place of: null. */
function strictDecoder(onOther: () => void): (chunk?: Buffer) => string | null {
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

/** What an answer that is no success says in an error of JSON-RPC; undefined: nothing that can be read. */
export async function wordsOfRefusal(response: IncomingMessage, told: Told): Promise<string | undefined> {
  const read = await readCapped(response, maxRefusalBytes);
  if (read.status !== 'read') return undefined;
  const encoding = response.headers['content-encoding'];
  const unpacked = await unpackBody(read.bytes, encoding, maxRefusalBytes, told);
  if (unpacked.status !== 'unpacked') return undefined;
  try {
    const said = JSON.parse(readableText(unpacked.bytes).replace(/^\ufeff/, '')) as Json;
    const error = isObject(said) ? said['error'] : undefined;
    const words = isObject(error) ? error['message'] : undefined;
    return typeof words === 'string' && words !== '' ? words : undefined;
  } catch {
    return undefined;
  }
}
