import type { JsonObject } from '../../model/values/json.js';
import { effectKey } from '../effects/action.js';
import type { Draft } from '../run/draft.js';
import { keyLabel } from '../effects/key-label.js';
import type { Action, Denied } from '../state.js';

// Who denied what: one entry for each transition, so that whoever is asked to approve it again is told.

export function noteDenial(draft: Draft, action: Action, by: string): void {
  const { run, kit, time } = draft;
  // Another state's transition of the same name has a label of its own, and an entry of its own.
  const transition = keyLabel(draft, action.transition);
  const count = (run.denials.find((denial) => denial.transition === transition)?.count ?? 0) + 1;
  const others = run.denials.filter((denial) => denial.transition !== transition);
  run.denials = [...others, { transition, what: effectKey(kit, action), by, at: time, count }];
}

export function deniedBefore(draft: Draft, transition: string, args: JsonObject): Denied | null {
  const { run, kit } = draft;
  const label = keyLabel(draft, transition);
  const found = run.denials.find((denial) => denial.transition === label);
  if (found === undefined) return null;
  const { by, at, count, what } = found;
  return { by, at, count, same: what === effectKey(kit, { transition, arguments: args }) };
}
