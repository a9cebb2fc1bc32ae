import { makeTurns, type Turn } from '../../model/give-way.js';

// An answer as text. A run's context, a page or a reconstruction is megabytes: it is written in pieces, between which the
// process serves others.

/** Below here a value is written whole: what a list or a run holds is on one of the levels above, and within its own limit (docs/operating.md). */
const levels = 5;
/** Numbers and texts of one list or object that are written together. */
const together = 1_000;

/** What `JSON.stringify` gives. */
export async function jsonText(value: unknown): Promise<string> {
  const pieces: string[] = [];
  await write(value, 0, pieces, makeTurns());
  return pieces.join('');
}

async function write(value: unknown, level: number, pieces: string[], turn: Turn): Promise<void> {
  if (level === levels || !isOpen(value)) {
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
    if (isOpen(item)) {
      pieces.push(before, JSON.stringify(name), ':');
      before = ',';
      await write(item, level + 1, pieces, turn);
      at += 1;
      continue;
    }
    const end = endOfClosed(members, at, ([, one]) => one);
    const text = JSON.stringify(Object.fromEntries(members.slice(at, end))).slice(1, -1);
    // What JSON leaves out may be all of them.
    if (text !== '') {
      pieces.push(before, text);
      before = ',';
    }
    await turn();
    at = end;
  }
  pieces.push(before === '{' ? '{}' : '}');
}

/** Behind those that are written together. */
function endOfClosed<T>(items: readonly T[], start: number, valueOf: (item: T) => unknown): number {
  let end = start + 1;
  while (end < items.length && end < start + together && !isOpen(valueOf(items[end] as T))) end += 1;
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
    if (isOpen(items[at])) {
      await write(items[at], level + 1, pieces, turn);
      at += 1;
      continue;
    }
    const end = endOfClosed(items, at, (one) => one);
    pieces.push(JSON.stringify(items.slice(at, end)).slice(1, -1));
    await turn();
    at = end;
  }
  pieces.push(']');
}

/** A list or an object that says nothing of its own about how it is written. */
function isOpen(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !('toJSON' in value);
}
