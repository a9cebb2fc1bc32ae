import type { Json } from '../model/json.js';
import { grouped } from '../engine/shown.js';
import { readPath, type PathScopes } from '../engine/template.js';
import type { TextTemplate, Tier, Transition } from '../engine/plan.js';
import type { ApprovalState, RunState } from '../engine/state.js';

// What a person reads first. The exact action stands beside it in `arguments` and `preview`; the digest binds that.

/** From the author's template; where a hole of it has no value, the plain sentence. */
export function summary(transition: Transition | undefined, run: RunState, approval: ApprovalState): string {
  const { action } = approval;
  const told = fill(transition?.summary, run, approval);
  if (told !== null) return told;
  const who = action.requester?.id ?? 'the runtime';
  const values = Object.entries(action.arguments).map(([key, value]) => `${key} ${short(value)}`);
  const withValues = values.length === 0 ? '' : ` with ${values.join(', ')}`;
  const what = `${transition?.title ?? action.transition} (${action.tool ?? action.transition})`;
  return shown(`${who} asks for ${what}${withValues}`);
}

export function consequence(
  transition: Transition | undefined,
  run: RunState,
  approval: ApprovalState,
): string {
  const undo = undoing(approval.action.tier);
  const because = transition?.readOnlyBecause;
  const readOnly = because === undefined ? '' : shown(`; it is called a read because: ${because}`);
  const told = fill(transition?.consequence, run, approval);
  if (told !== null) return `${told}${undo === null ? '' : `; ${undo}`}${readOnly}`;
  const next = approval.human
    ? `the run goes on to state \`${transition?.target ?? ''}\``
    : `\`${approval.action.tool ?? approval.action.transition}\` runs once, with exactly these arguments`;
  return `${shown(`when approved, ${next}${undo === null ? '' : `; it ${undo}`}`)}${readOnly}`;
}

function undoing(tier: Tier | null): string | null {
  return tier === 'irreversible' ? 'cannot be undone' : null;
}

function fill(template: TextTemplate | undefined, run: RunState, { action }: ApprovalState): string | null {
  if (template === undefined) return null;
  const scopes: PathScopes = { arguments: action.arguments, context: run.context, input: run.input };
  let text = '';
  for (const part of template.parts) {
    if (typeof part === 'string') {
      text += part;
      continue;
    }
    const read = readPath(scopes, part);
    const value = read.found ? read.value : null;
    if (value === null && part.optional) continue;
    if (value === null || typeof value === 'object') return null;
    text += hole(value);
  }
  return shown(text);
}

const longestHole = 200;

function hole(value: string | number | boolean): string {
  if (typeof value === 'number') return grouped(value);
  const text = String(value);
  return text.length > longestHole ? `${text.slice(0, longestHole - 3)}...` : text;
}

function short(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** An argument must not hide, recolour or turn around what is about to be approved. */
export function shown(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16) ?? ''}}`);
}
