import { makeTurns, type Turn } from '../model/give-way.js';

// An answer as text. A run's context, a page or a reconstruction is megabytes: it is written in pieces, between which the
// process serves others.

/** Below here a value is written whole: what a list or a run holds is on one of the levels above, and within its own limit (docs/operating.md). */
const levels = 5;
/** Numbers and texts of one list that are written together. */
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
  let before = '{';
  for (const [name, item] of Object.entries(value)) {
    if (item === undefined) continue;
    pieces.push(before, JSON.stringify(name), ':');
    before = ',';
    await write(item, level + 1, pieces, turn);
  }
  pieces.push(before === '{' ? '{}' : '}');
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
    let end = at + 1;
    while (end < items.length && end < at + together && !isOpen(items[end])) end += 1;
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
