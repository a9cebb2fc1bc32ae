import type { Arrival } from '../activities/types.js';
import type { Bell } from '../model/message.js';
import { undecodable } from './payload-converter.js';

const field = /^[\x21-\x7e]{1,120}$/;
const fields = ['id', 'kind', 'digest', 'keyId', 'signature'] as const;
const longestName = 40;
/** Most bells that a history leaves to the next, whose input has to be small: a bell takes 700 bytes at most. */
export const mostCarriedBells = 50;

/** Reads the argument of a signal, whoever sent it. Never throws: what is no bell becomes garbage. */
export function readSignal(name: string, raw: unknown): Arrival {
  const bell = readBell(raw);
  if (bell !== null && bell.kind === name) return { kind: 'message', bell };
  return makeGarbage(name, isUndecodable(raw) ? 'undecodable' : 'unsigned');
}

export function makeGarbage(name: string, reason: 'undecodable' | 'unsigned' | 'unread'): Arrival {
  return { kind: 'garbage', name: name.slice(0, longestName), reason };
}

/** The bell; null: the value is anything but the five short texts of a bell. */
export function readBell(raw: unknown): Bell | null {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return null;
  const given = raw as Readonly<Record<string, unknown>>;
  if (Object.keys(given).length !== fields.length) return null;
  for (const name of fields) {
    const value = Object.hasOwn(given, name) ? given[name] : null;
    if (typeof value !== 'string' || !field.test(value)) return null;
  }
  return given as unknown as Bell;
}

export function areCarriedBells(raw: unknown): raw is readonly Bell[] {
  return Array.isArray(raw) && raw.length <= mostCarriedBells && raw.every((each) => readBell(each) !== null);
}

function isUndecodable(raw: unknown): boolean {
  if (typeof raw !== 'object' || raw === null) return true;
  return (raw as { readonly countersign?: unknown }).countersign === undecodable.countersign;
}
