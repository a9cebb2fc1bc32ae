import { jsonTrouble, utf8Length, type Json, type JsonObject } from '../model/json.js';
import { mostContextBytes } from '../model/limits.js';
import type { Action, Problem, RunState } from './state.js';
import type { Mapping } from './plan.js';
import { actionFact, derivedId, record, type Draft } from './draft.js';
import { applyMapping, withoutAnswer } from './mapping.js';

// What a step that is done leaves in its run: context and evidence.

interface Done {
  readonly output: Json;
  readonly response: Json;
  readonly evidence: readonly string[];
}

/** Of a step that calls nothing. */
export const nothingCalled: Done = { output: null, response: null, evidence: [] };

/** Its mapping and its evidence; or why the context cannot be kept, and nothing is. */
export function write(
  draft: Draft,
  step: { readonly output: readonly Mapping[]; readonly evidence: string | null },
  action: Action,
  { output, response, evidence }: Done,
): Problem | null {
  const { run } = draft;
  const { context, unresolved } = applyMapping(step.output, {
    arguments: action.arguments,
    context: run.context,
    input: run.input,
    output,
    response,
  });
  for (const path of unresolved)
    record(draft, 'mapping.unresolved', { action: actionFact(action), data: { path } });
  const kept = keptContext(context);
  if (typeof kept === 'string') return { code: 'STATE_TOO_LARGE', message: `${kept}; map less of it` };
  run.context = kept;
  addEvidence(draft, action, [...evidence, ...(step.evidence === null ? [] : [step.evidence])]);
  return null;
}

/** Why the context cannot keep what a step writes, whatever its call answers: asked before anything is called. */
export function contextProblem(
  { context, input }: Pick<RunState, 'context' | 'input'>,
  step: { readonly output: readonly Mapping[] },
  args: JsonObject,
): string | null {
  const scopes = { arguments: args, context, input, output: null, response: null };
  const kept = keptContext(applyMapping(withoutAnswer(step.output), scopes).context);
  return typeof kept === 'string' ? `${kept}: send less, or map less of it` : null;
}

/** A mapping may nest the context in itself, time and again: too deep is found before anything recurses into it. */
function keptContext(context: JsonObject | null): JsonObject | string {
  if (context === null)
    return `what the mapping writes takes more than ${mostContextBytes} bytes, which are the most that a context takes`;
  const trouble = jsonTrouble(context);
  if (trouble !== null) return `the context cannot be kept: ${trouble}`;
  const bytes = utf8Length(JSON.stringify(context));
  return bytes > mostContextBytes
    ? `the context would take ${bytes} bytes, and ${mostContextBytes} are the most`
    : context;
}

function addEvidence(draft: Draft, action: Action, kinds: readonly string[]): void {
  const { run } = draft;
  for (const [index, kind] of kinds.entries()) {
    const id = derivedId(draft, 'evd', `${action.id}:${index}:${kind}`);
    run.evidence = [
      ...run.evidence,
      { id, kind, at: draft.time, stay: run.stay, state: run.state, by: null },
    ];
    record(draft, 'evidence.recorded', { action: actionFact(action), data: { kind, id } });
  }
}
