import type { JsonObject } from '../../model/values/json.js';
import { effectKey } from '../effects/action.js';
import type { Draft } from '../run/draft.js';
import { keyLabel } from '../effects/key-label.js';
import type { Action, Denial, Denied } from '../state.js';

// Who denied what: an entry for each different request, so that whoever is asked for it again is told, whatever was denied meanwhile.

export function noteDenial(draft: Draft, action: Action, by: string): void {
  const { run, kit, time } = draft;
  // Another state's transition of the same name has a label of its own, and entries of its own.
  const transition = keyLabel(draft, action.transition);
  const what = effectKey(kit, action);
  const isSame = (denial: Denial): boolean => denial.transition === transition && denial.what === what;
  const count = (run.denials.find(isSame)?.count ?? 0) + 1;
  const others = run.denials.filter((denial) => !isSame(denial));
  run.denials = [...others, { transition, what, by, at: time, count }];
}

/** The last denial of exactly this request; if there is none, that of the transition with other arguments. Its `count` is of all of the transition. */
export function deniedBefore(draft: Draft, transition: string, args: JsonObject): Denied | null {
  const { run, kit } = draft;
  const label = keyLabel(draft, transition);
  const denials = run.denials.filter((denial) => denial.transition === label);
  const what = effectKey(kit, { transition, arguments: args });
  const same = denials.find((denial) => denial.what === what);
  const told = same ?? denials.at(-1);
  if (told === undefined) return null;
  const count = denials.reduce((sum, denial) => sum + denial.count, 0);
  return { by: told.by, at: told.at, count, same: same !== undefined };
}
