import { isObject, type Json, type JsonObject } from '../../../model/values/json.js';
import { toNumber } from '../message.js';

// Whether what a server writes beside a status that is no success answers the request itself: then the server has read it.

/**
 * `result`: it may be of what was done. `error`: it refuses, or says that the tool has failed. `unread`: it may be an answer, and cannot
 * be read. Null: it is none, or says only that the session of the request is lost.
 */
export type Answering = 'result' | 'error' | 'unread' | null;

/**
 * Frameworks wrap what a tool has answered, or send it as events or in a list, so it is looked for in all of the text. Ids of requests
 * are random above a million: whatever has the id of the request is its answer. `session`: the id of the session that it was in.
 */
export function whatAnswers(text: string, asked: Json, session: string | null): Answering {
  if (typeof asked !== 'number') return null;
  const found = parseAll(text).flatMap((value) => answersIn(value, asked, 0));
  const kinds = found.map((answer) => kindOf(answer, session));
  if (kinds.includes('result')) return 'result';
  if (kinds.includes('error')) return 'error';
  const isNamed = found.length === 0 && new RegExp(`(?<!\\d)${asked}(?!\\d)`).test(text);
  return isNamed ? 'unread' : null;
}

function kindOf(answer: JsonObject, session: string | null): 'result' | 'error' | null {
  const { result = null, error = null } = answer;
  const told = result ?? (error === null ? answer : null);
  if (told !== null) {
    const hasFailed = isObject(told) && told['isError'] === true && error === null;
    return hasFailed ? 'error' : 'result';
  }
  return isLostSession(isObject(error) ? [error['message'], error['data']] : [error], session)
    ? null
    : 'error';
}

/** More than any server answers with. */
const mostParts = 1_000;

/** The text as JSON, or each of its lines, also of a stream of events. */
function parseAll(text: string): Json[] {
  const whole = parseJson(text);
  if (whole !== undefined) return [whole];
  const unix = text.replaceAll(/\r\n?/g, '\n');
  const events = unix.split(/\n{2,}/).map((event) =>
    event
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.replace('data:', ''))
      .join('\n'),
  );
  const parts = [...events, ...unix.split('\n')].filter((part) => /^\s*[[{]/.test(part));
  return parts.flatMap((part, index) => {
    const value = index < mostParts ? parseJson(part) : undefined;
    return value === undefined ? [] : [value];
  });
}

/** Undefined: it is no JSON. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** As deep as wrappers go. */
const wrappedDepth = 6;

function answersIn(value: Json, asked: number, depth: number): JsonObject[] {
  if (depth > wrappedDepth) return [];
  if (typeof value === 'string') {
    const inner = value.trimStart().startsWith('{') ? parseJson(value) : undefined;
    return inner === undefined ? [] : answersIn(inner, asked, depth + 1);
  }
  if (Array.isArray(value)) return value.flatMap((item: Json) => answersIn(item, asked, depth + 1));
  if (!isObject(value)) return [];
  if (toNumber(value['id']) === asked && !Object.hasOwn(value, 'method')) return [value];
  return Object.values(value).flatMap((item) => answersIn(item, asked, depth + 1));
}

/** `session` alone may be about anything. */
const lost = new RegExp(
  [
    /\b(?:bad|expired|invalid|missing|no (?:active|such|valid)|stale|unknown|unrecogni[sz]ed)\b[^.,:;{}]{0,40}session/,
    /session[^.,:;{}]{0,40}(?:not?[ _-](?:active|exist|found|known|valid)|closed|ended|expired|invalid|missing|required|terminated|timed out|unknown)/,
    /server not initiali[sz]ed/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'i',
);

/** Do the words say that a session is lost? `session`: the id of the request's own, which they may quote. */
export function saysSessionLost(said: string, session: string | null): boolean {
  return lost.test(withoutId(said, session));
}

/** A shorter id could be a part of words. */
const shortestId = 6;

function withoutId(said: string, session: string | null): string {
  return session !== null && session.length >= shortestId ? said.replaceAll(session, '') : said;
}

/** What says that a session is lost, and beside it what such a sentence has. */
const lossWords =
  'bad cannot closed deleted doesn ended evicted expired gone invalid lost missing no not required stale terminated timed unknown unrecognised unrecognized';
const otherWords =
  'a active again an and any anymore been can client could does error exist exists find for found has header id initialise initialised initialize initialized is it known longer matching mcp more new one or out please provided recognised recognized reconnect reinitialise reinitialize request server start such t the there this to transport use valid was with your';
const losses: ReadonlySet<string> = new Set(lossWords.split(' '));
const vocabulary: ReadonlySet<string> = new Set(
  ['session', 'sessionid', lossWords, otherWords].join(' ').split(' '),
);

/** Of an answer to the request itself, which has come to the server: only where its words say nothing else. Ids have digits. */
function isLostSession(said: readonly (Json | undefined)[], session: string | null): boolean {
  const texts = said.flatMap((part) => (isObject(part) ? Object.values(part) : [part ?? '']));
  const text = texts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' ');
  const words = withoutId(text, session)
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '' && !/\d/.test(word));
  const isAbout = /session|server not initiali[sz]ed/i.test(text);
  return isAbout && words.some((word) => losses.has(word)) && words.every((word) => vocabulary.has(word));
}
