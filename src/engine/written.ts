import { jsonTrouble, utf8Length, type Json, type JsonObject } from '../model/json.js';
import { mostContextBytes } from '../model/limits.js';
import type { Action, Problem } from './state.js';
import type { Mapping } from './plan.js';
import { actionFact, derivedId, record, type Draft } from './draft.js';
import { applyMapping } from './mapping.js';

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
  if (context === null) {
    const message = `what the mapping writes takes more than ${mostContextBytes} bytes, which are the most that a context takes; map less of it`;
    return { code: 'STATE_TOO_LARGE', message };
  }
  const message = contextProblem(context);
  if (message !== null) return { code: 'STATE_TOO_LARGE', message };
  run.context = context;
  addEvidence(draft, action, [...evidence, ...(step.evidence === null ? [] : [step.evidence])]);
  return null;
}

/** A mapping may nest the context in itself, time and again: too deep is found before anything recurses into it. */
function contextProblem(context: JsonObject): string | null {
  const trouble = jsonTrouble(context);
  if (trouble !== null) return `the context cannot be kept: ${trouble}; map less of it`;
  const bytes = utf8Length(JSON.stringify(context));
  return bytes > mostContextBytes
    ? `the context would take ${bytes} bytes, and ${mostContextBytes} are the most; map less of the output`
    : null;
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
