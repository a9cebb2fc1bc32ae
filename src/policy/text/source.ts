import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  visit,
  type Document,
  type Node,
  type Scalar,
} from 'yaml';
import { pointerTo, type Json } from '../../model/values/json.js';
import { hiddenTrouble } from '../../model/values/text.js';
import type { FindingCode } from './findings.js';
import { jsonTrouble } from './json-text.js';
import type { Finding, PathSegment, Problem } from './problems.js';
import { composeText, lengthTrouble, numberTrouble, type Trouble } from './yaml-text.js';

// Text to plain JSON, and from any path in it back to line and column.

interface Position {
  readonly line: number;
  readonly column: number;
}

/** The value, its key, or a character of the value's text. */
export type Place = 'key' | 'value' | number;

export interface Source {
  readonly file: string | undefined;
  readonly media: Media;
  readonly text: string;
  readonly value: Json;
  /** How a number, a boolean or null is written, where that differs from its JSON; null: it does not, or is not written. */
  written(path: readonly PathSegment[]): string | null;
  /** The position of a path; where nothing is written there, that of the nearest value above. */
  locate(path: readonly PathSegment[], at?: Place): Position;
}

export type Parsed =
  | { readonly status: 'parsed'; readonly source: Source }
  | { readonly status: 'invalid'; readonly problems: readonly Finding[] };

/** `json`: also checked as JSON, because YAML would accept what JSON refuses. */
export type Media = 'json' | 'yaml';

const maxDepth = 64;
const maxValues = 100_000;
const maxProblems = 100;

/** `isPublished`: the text of a flow that was published before, perhaps when less was refused. */
export function parseText(text: string, file?: string, media: Media = 'yaml', isPublished = false): Parsed {
  const lines = linesOf(text);
  const invalid = ({ code, offset, message }: Trouble): Parsed => ({
    status: 'invalid',
    problems: [
      { code, path: '', ...(file === undefined ? {} : { file }), ...positionOf(lines, offset), message },
    ],
  });
  const early = lengthTrouble(text) ?? (media === 'json' ? jsonTrouble(text) : null);
  if (early !== null) return invalid(early);
  const composed = composeText(text);
  if (composed.status === 'invalid') return invalid(composed.trouble);
  const { document, oddSpace } = composed;
  if (oddSpace !== null && !isPublished) return invalid(oddSpace);
  const walk: Walk = {
    place: (path, at) => locate({ document, lines, text }, path, at),
    file,
    targets: aliasTargets(document),
    problems: [],
    written: new Map(),
    values: 0,
    stopped: false,
  };
  const value = toJson(walk, document.contents, [], 0);
  if (walk.problems.length > 0) return { status: 'invalid', problems: walk.problems.slice(0, maxProblems) };
  const written: Source['written'] = (path) => walk.written.get(pointerTo(path)) ?? null;
  return { status: 'parsed', source: { file, media, text, value, written, locate: walk.place } };
}

// --- the values --------------------------------------------------------------------------------

interface Walk {
  readonly place: Source['locate'];
  readonly file: string | undefined;
  readonly targets: ReadonlyMap<Node, Node>;
  readonly problems: Finding[];
  /** How values are written, by pointer. */
  readonly written: Map<string, string>;
  values: number;
  /** Set where reading on would only cost time. */
  stopped: boolean;
}

type At = readonly PathSegment[];

/** An alias stands for the nearest anchor of its name before it. */
function aliasTargets(document: Document): Map<Node, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Node, Node>();
  visit(document, {
    Node: (_key, node) => {
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target !== undefined) targets.set(node, target);
      } else if ('anchor' in node && node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

function toJson(walk: Walk, node: unknown, at: At, depth: number): Json {
  if (walk.stopped) return null;
  walk.values += 1;
  if (walk.values > maxValues)
    return stop(walk, at, `the document holds more than ${maxValues} values: split it`);
  if (depth > maxDepth) return stop(walk, at, `nested deeper than ${maxDepth} levels`);
  if (isAlias(node)) {
    const target = walk.targets.get(node);
    if (target !== undefined) return toJson(walk, target, at, depth + 1);
    return report(walk, 'MALFORMED', at, `no anchor \`&${node.source}\` stands before this alias`);
  }
  if ((isMap(node) || isSeq(node) || isScalar(node)) && node.tag !== undefined)
    return report(walk, 'MALFORMED', at, `\`${node.tag}\`: tags are not taken, write the value without one`);
  if (isMap(node)) return toObject(walk, node.items, at, depth);
  if (isSeq(node)) return node.items.map((item, index) => toJson(walk, item, [...at, index], depth + 1));
  return isScalar(node) ? toScalar(walk, node, at) : null;
}

function toObject(
  walk: Walk,
  items: readonly { readonly key: unknown; readonly value: unknown }[],
  at: At,
  depth: number,
): Json {
  const entries = new Map<string, Json>();
  for (const { key, value } of items) {
    const name = isScalar(key) ? key.value : undefined;
    if (typeof name !== 'string' || (isScalar(key) && key.tag !== undefined)) {
      const written = isScalar(key) ? `\`${key.source ?? String(name)}\`` : 'what stands here';
      report(walk, 'NAME_INVALID', at, `${written} is no text, so it cannot be a name: put it in quotes`);
      continue;
    }
    const path = [...at, name];
    const why = keyTrouble(name);
    if (why !== null) report(walk, 'NAME_INVALID', path, `\`${name}\` ${why}`, 'key');
    else if (entries.has(name))
      report(walk, 'DUPLICATE_NAME', path, `\`${name}\` stands twice in one mapping`, secondKey(items, name));
    else entries.set(name, toJson(walk, value, path, depth + 1));
  }
  return Object.fromEntries(entries);
}

function keyTrouble(name: string): string | null {
  if (name === '__proto__') return 'cannot be a name here: choose another one';
  if (name === '') return 'is empty: a name has at least one character';
  if (name === '<<') return 'merges nothing here: write the keys out';
  return textTrouble(name) ?? hiddenTrouble(name);
}

/** What is wrong with a text that neither canonical JSON nor Postgres can carry. */
function textTrouble(text: string): string | null {
  if (!text.isWellFormed()) return 'holds half of a surrogate pair';
  return text.includes('\u0000') ? 'holds the character U+0000: take it out' : null;
}

/** Where to report a duplicate name: at the second key, because the path leads to the first. */
function secondKey(items: readonly { readonly key: unknown }[], name: string): Place | Node {
  const same = items.filter(({ key }) => isScalar(key) && key.value === name);
  const second = same[1]?.key;
  return isScalar(second) ? second : 'key';
}

function toScalar(walk: Walk, { value, source }: Pick<Scalar, 'value' | 'source'>, at: At): Json {
  if (typeof value === 'string') {
    const why = textTrouble(value);
    return why === null ? value : report(walk, 'MALFORMED', at, `the text ${why}`);
  }
  if (typeof value === 'number') {
    const why = numberTrouble(value, source ?? String(value));
    if (why !== null) return report(walk, 'MALFORMED', at, why);
  }
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined) {
    if (source !== undefined && source !== String(value)) walk.written.set(pointerTo(at), source);
    return value ?? null;
  }
  return report(walk, 'MALFORMED', at, 'not a value that JSON has');
}

function stop(walk: Walk, at: At, message: string): null {
  walk.stopped = true;
  return report(walk, 'TOO_LARGE', at, message);
}

function report(walk: Walk, code: FindingCode, at: At, message: string, place: Place | Node = 'value'): null {
  const position = typeof place === 'object' ? walk.place([], startOf(place) ?? 0) : walk.place(at, place);
  const file = walk.file === undefined ? {} : { file: walk.file };
  walk.problems.push({ code, path: pointerTo(at), ...file, ...position, message });
  if (walk.problems.length >= maxProblems) walk.stopped = true;
  return null;
}

export function problemAt<Code extends string>(
  source: Source,
  code: Code,
  path: readonly PathSegment[],
  message: string,
  at: Place = 'value',
  suggestion?: string,
): Problem<Code> {
  return {
    code,
    path: pointerTo(path),
    ...(source.file === undefined ? {} : { file: source.file }),
    ...source.locate(path, at),
    message: suggestion === undefined ? message : `${message}: did you mean \`${suggestion}\`?`,
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}

// --- positions ---------------------------------------------------------------------------------

interface Text {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly text: string;
}

function linesOf(text: string): LineCounter {
  const lines = new LineCounter();
  let at = 0;
  do {
    lines.addNewLine(at);
    at = text.indexOf('\n', at) + 1;
  } while (at !== 0);
  return lines;
}

function positionOf(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

function locate(from: Text, path: readonly PathSegment[], at: Place = 'value'): Position {
  let node: unknown = from.document.contents;
  let offset = startOf(node) ?? 0;
  if (path.length === 0 && typeof at === 'number') return positionOf(from.lines, at);
  for (const [depth, segment] of path.entries()) {
    const last = depth === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find((entry) => isScalar(entry.key) && entry.key.value === String(segment));
      if (pair === undefined) break;
      // A value that is not written has no position of its own.
      const empty =
        pair.value === null ||
        (isScalar(pair.value) && pair.value.value === null && pair.value.source === '');
      const own = last && at !== 'key' && !empty ? startOf(pair.value) : null;
      offset = own ?? startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(segment)];
      if (node === undefined) break;
      offset = startOf(node) ?? offset;
    } else break;
    if (last && typeof at === 'number') offset += offsetWithin(from.text, node, at);
  }
  return positionOf(from.lines, offset);
}

/** The offset of a character of a text within the node as it is written; 0 where escapes or folding changed the text. */
function offsetWithin(text: string, node: unknown, at: number): number {
  if (!isScalar(node) || typeof node.value !== 'string' || !node.range) return 0;
  const written = text.slice(node.range[0], node.range[1]);
  if (written === node.value) return at;
  return written.slice(1, -1) === node.value ? at + 1 : 0;
}

function startOf(node: unknown): number | null {
  return (node as Node | null)?.range?.[0] ?? null;
}
