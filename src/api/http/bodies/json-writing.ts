import { makeTurns, type Turn } from '../../../model/give-way.js';

// Writes an answer as text. A run's context, a page or a reconstruction may have megabytes: they are written in pieces, and
// between the pieces the process serves others.

/**
 * Below this level a value is written as a whole. What lists and runs hold is on the levels above, each within its own limit
 * (docs/operating.md).
 */
const levels = 5;
/** How many numbers and texts of a list or object are written together. */
const piecesTogether = 1_000;

/** The same text as `JSON.stringify` gives. */
export async function jsonText(value: unknown): Promise<string> {
  const pieces: string[] = [];
  await write(value, 0, pieces, makeTurns());
  return pieces.join('');
}

async function write(value: unknown, level: number, pieces: string[], turn: Turn): Promise<void> {
  if (level === levels || !isComposite(value)) {
    pieces.push((JSON.stringify(value) as string | undefined) ?? 'null');
    return turn();
  }
  if (Array.isArray(value)) return writeList(value, level, pieces, turn);
  return writeObject(Object.entries(value), level, pieces, turn);
}

async function writeObject(
  members: readonly (readonly [string, unknown])[],
  level: number,
  pieces: string[],
  turn: Turn,
): Promise<void> {
  let before = '{';
  for (let at = 0; at < members.length;) {
    const [name, item] = members[at] as readonly [string, unknown];
    if (isComposite(item)) {
      pieces.push(before, JSON.stringify(name), ':');
      before = ',';
      await write(item, level + 1, pieces, turn);
      at += 1;
      continue;
    }
    const end = endOfSimple(members, at, ([, member]) => member);
    const text = JSON.stringify(Object.fromEntries(members.slice(at, end))).slice(1, -1);
    // JSON leaves out undefined members, which may be all of them.
    if (text !== '') {
      pieces.push(before, text);
      before = ',';
    }
    await turn();
    at = end;
  }
  pieces.push(before === '{' ? '{}' : '}');
}

/** Index after the simple values that are written together from `start` on. */
function endOfSimple<T>(items: readonly T[], start: number, valueOf: (item: T) => unknown): number {
  let end = start + 1;
  while (end < items.length && end < start + piecesTogether && !isComposite(valueOf(items[end] as T)))
    end += 1;
  return end;
}

async function writeList(
  items: readonly unknown[],
  level: number,
  pieces: string[],
  turn: Turn,
): Promise<void> {
  pieces.push('[');
  for (let at = 0; at < items.length;) {
    if (at > 0) pieces.push(',');
    if (isComposite(items[at])) {
      await write(items[at], level + 1, pieces, turn);
      at += 1;
      continue;
    }
    const end = endOfSimple(items, at, (item) => item);
    pieces.push(JSON.stringify(items.slice(at, end)).slice(1, -1));
    await turn();
    at = end;
  }
  pieces.push(']');
}

/** A list or an object, without a `toJSON` of its own. */
function isComposite(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !('toJSON' in value);
}
