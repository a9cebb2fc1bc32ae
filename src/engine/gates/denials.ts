import type { JsonObject } from '../../model/values/json.js';
import { effectKey } from '../effects/action.js';
import type { Draft } from '../run/draft.js';
import { keyLabel } from '../effects/key-label.js';
import type { Action, Denied } from '../state.js';

// Who denied what: an entry for each different request, so that whoever is asked for it again is told, whatever was denied meanwhile.

/** Of one transition, the latest. */
const mostDenials = 20;

export function noteDenial(draft: Draft, action: Action, by: string): void {
  const { run, kit, time } = draft;
  // Another state's transition of the same name has a label of its own, and entries of its own.
  const transition = keyLabel(draft, action.transition);
  const what = effectKey(kit, action);
  const others = run.denials.filter((denial) => denial.transition !== transition);
  const own = run.denials.filter((denial) => denial.transition === transition);
  const count = (own.at(-1)?.count ?? 0) + 1;
  const kept = own.filter((denial) => denial.what !== what).slice(1 - mostDenials);
  run.denials = [...others, ...kept, { transition, what, by, at: time, count }];
}

/** The last denial of exactly this request; if there is none, that of the transition with other arguments. */
export function deniedBefore(draft: Draft, transition: string, args: JsonObject): Denied | null {
  const { run, kit } = draft;
  const label = keyLabel(draft, transition);
  const denials = run.denials.filter((denial) => denial.transition === label);
  const last = denials.at(-1);
  if (last === undefined) return null;
  const what = effectKey(kit, { transition, arguments: args });
  const same = denials.find((denial) => denial.what === what);
  const { by, at } = same ?? last;
  const isForgetful = same === undefined && denials.length === mostDenials && last.count > mostDenials;
  return { by, at, count: last.count, same: isForgetful ? null : same !== undefined };
}
