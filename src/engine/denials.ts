import type { JsonObject } from '../model/json.js';
import { effectKey } from './action.js';
import type { Draft } from './draft.js';
import type { Action, Denied } from './state.js';

// Who said no: one entry a transition, so that whoever is asked again is told.

export function noteDenial({ run, kit, time }: Draft, action: Action, by: string): void {
  const { transition } = action;
  const count = (run.denials.find((one) => one.transition === transition)?.count ?? 0) + 1;
  const others = run.denials.filter((one) => one.transition !== transition);
  run.denials = [...others, { transition, what: effectKey(kit, action), by, at: time, count }];
}

export function deniedBefore({ run, kit }: Draft, transition: string, args: JsonObject): Denied | null {
  const found = run.denials.find((one) => one.transition === transition);
  if (found === undefined) return null;
  const { by, at, count, what } = found;
  return { by, at, count, same: what === effectKey(kit, { transition, arguments: args }) };
}
