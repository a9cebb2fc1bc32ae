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
  const data = isObject(error) ? (error['data'] ?? null) : null;
  const said = [
    ...(isObject(error) ? [error['message']] : [error]),
    ...(isObject(data) ? Object.values(data) : [data]),
  ];
  return said.some((text) => typeof text === 'string' && isLostSession(text, session)) ? null : 'error';
}

/** More than any server answers with. */
const mostParts = 1_000;

/** The text as JSON, or each of its lines, also of a stream of events. */
function parseAll(text: string): Json[] {
  const whole = parse(text);
  if (whole !== undefined) return [whole];
  const events = text.split(/(?:\r?\n|\r){2,}/).map((event) =>
    event
      .split(/\r?\n|\r/)
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.replace('data:', ''))
      .join('\n'),
  );
  const lines = text.split(/\r?\n|\r/);
  const parts = [...events, ...lines].filter((part) => /^\s*[[{]/.test(part));
  return parts.flatMap((part, index) => {
    const value = index < mostParts ? parse(part) : undefined;
    return value === undefined ? [] : [value];
  });
}

function parse(text: string): Json | undefined {
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
    const inner = value.trimStart().startsWith('{') ? parse(value) : undefined;
    return inner === undefined ? [] : answersIn(inner, asked, depth + 1);
  }
  if (Array.isArray(value)) return value.flatMap((item: Json) => answersIn(item, asked, depth + 1));
  if (!isObject(value)) return [];
  if (toNumber(value['id']) === asked && !Object.hasOwn(value, 'method')) return [value];
  return Object.values(value).flatMap((item) => answersIn(item, asked, depth + 1));
}

const either = (...patterns: readonly RegExp[]): string => patterns.map(({ source }) => source).join('|');

/** `session` alone may be about anything. */
const lost = new RegExp(
  either(
    /\b(?:bad|expired|invalid|missing|no (?:active|such|valid)|stale|unknown|unrecogni[sz]ed)\b[^.,:;{}]{0,40}session/,
    /session[^.,:;{}]{0,40}(?:not?[ _-](?:active|exist|found|known|valid)|closed|ended|expired|invalid|missing|required|terminated|timed out|unknown)/,
    /server not initiali[sz]ed/,
  ),
  'i',
);

/** Of an answer to the request itself, which has come to the server: only where the words say nothing else. */
const onlyLost = new RegExp(
  `^\\W*(?:(?:bad request|error|invalid request|not found)\\W+)*(?:${either(
    /(?:(?:an?|the|this|your) )?(?:mcp[ -])?session[^.,;{}]{0,40}(?:not?[ _-](?:active|exist|found|initiali[sz]ed|known|longer|recogni[sz]ed|valid)|doesn't exist|closed|deleted|ended|evicted|expired|gone|invalid|lost|missing|required|terminated|timed out|unknown)/,
    /(?:bad|could not find|can(?:not|'t) find|expired|invalid|missing|no|not an? active|stale|unknown|unrecogni[sz]ed)(?:\W+(?:active|an?|expired|invalid|matching|mcp|missing|or|such|the|unknown|valid)){0,4}\W+(?:mcp[ -])?session/,
    /no transport found for session/,
    /server not initiali[sz]ed/,
  )})`,
  'i',
);

/** A shorter id could be a part of words. */
const shortestId = 6;

/** The words without the id of the request's own session, which they may quote. */
function withoutId(said: string, session: string | null): string {
  return session !== null && session.length >= shortestId ? said.replaceAll(session, '') : said;
}

export function saysSessionLost(said: string, session: string | null): boolean {
  return lost.test(withoutId(said, session));
}

function isLostSession(said: string, session: string | null): boolean {
  return onlyLost.test(withoutId(said, session));
}
