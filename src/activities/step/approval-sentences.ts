import { canonical } from '../../model/values/canonical.js';
import type { Json } from '../../model/values/json.js';
import { truncate } from '../../model/values/text.js';
import { groupDigits } from '../../engine/gates/shown.js';
import { escapeUnseen } from '../../model/values/visible.js';
import { readPath, type PathScopes } from '../../engine/expression/template.js';
import { asksPeople, type TextTemplate, type Tier, type Transition } from '../../engine/plan.js';
import type { Asking } from '../../engine/state.js';

// The sentences that an approver reads first. The exact action is beside them in `arguments` and `preview`, which the digest binds.

/** The summary from the author's template; the plain sentence where there is no template, or a hole of it has no value. */
export function writeSummary(transition: Transition, asking: Asking): string {
  return `${fillTemplate(transition.summary, asking) ?? writePlainSummary(transition, asking)}${tellBegunBefore(asking)}${tellDoneBefore(transition, asking)}${tellDeniedBefore(transition, asking)}`;
}

function writePlainSummary({ title, name, tool }: Transition, asking: Asking): string {
  const who = asking.requester?.id ?? 'the runtime';
  // The digest covers this sentence, so it must not depend on the order of the arguments.
  const keys = Object.keys(asking.arguments).sort();
  const values = keys.map((key) => `${key} ${shortenJson(asking.arguments[key] ?? null)}`);
  const withValues = values.length === 0 ? '' : ` with ${values.join(', ')}`;
  return escapeUnseen(`${who} asks for ${title} (${tool ?? name})${withValues}`);
}

/** Tells the approver of a repeated effect that it may have happened already. */
function tellBegunBefore({ repeatedBy, inDoubt }: Asking): string {
  if (repeatedBy === null && !inDoubt) return '';
  const who = repeatedBy === null ? '' : `, and ${repeatedBy} had it retried`;
  return escapeUnseen(`; AGAIN: it may have happened already, its outcome is unknown${who}`);
}

/** Tells the approver that the same was approved and done before: the agent that asks may have started over. */
function tellDoneBefore({ name }: Transition, { done }: Asking): string {
  if (done === 0) return '';
  const often = done === 1 ? 'once' : `${done} times`;
  return escapeUnseen(`; ONCE MORE: this run has done ${name} with exactly these arguments ${often} already`);
}

/** Tells the approver that a colleague has denied it before. */
function tellDeniedBefore({ name }: Transition, { denied }: Asking): string {
  if (denied === null) return '';
  const times = denied.count === 1 ? '' : `; ${name} was denied ${denied.count} times by now`;
  const what = denied.same === false ? 'asked again with other arguments' : 'asked again';
  const known = denied.same === null ? '; whether exactly this was among them is not remembered' : '';
  return escapeUnseen(`; ${what}: ${denied.by} denied it on ${denied.at}${times}${known}`);
}

export function writeConsequence(transition: Transition, asking: Asking): string {
  const { tier, tool, name, target, executor, readOnlyBecause } = transition;
  const undo = describeUndoing(tier);
  const readOnly =
    readOnlyBecause === undefined ? '' : escapeUnseen(`; it is called a read because: ${readOnlyBecause}`);
  const told = fillTemplate(transition.consequence, asking);
  if (told !== null) return `${told}${undo === null ? '' : `; ${undo}`}${readOnly}`;
  const next = asksPeople(executor)
    ? `the run goes on to state \`${target}\``
    : `\`${tool ?? name}\` runs once${asking.done === 0 ? '' : ' more'}, with exactly these arguments`;
  return `${escapeUnseen(`when approved, ${next}${undo === null ? '' : `; it ${undo}`}`)}${readOnly}`;
}

function describeUndoing(tier: Tier | null): string | null {
  return tier === 'irreversible' ? 'cannot be undone' : null;
}

function fillTemplate(template: TextTemplate | undefined, asking: Asking): string | null {
  if (template === undefined) return null;
  const { arguments: args, context, input } = asking;
  const scopes: PathScopes = { arguments: args, context, input };
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
    text += writeHole(value);
  }
  return escapeUnseen(text);
}

const longestHole = 200;

function writeHole(value: string | number | boolean): string {
  if (typeof value === 'number') return groupDigits(value);
  return truncate(String(value), longestHole);
}

function shortenJson(value: Json): string {
  return truncate(canonical(value), 80);
}
