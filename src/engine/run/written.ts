import { jsonTrouble, type Json, type JsonObject } from '../../model/values/json.js';
import { mostContextBytes } from '../../model/limits.js';
import type { Action, Problem } from '../state.js';
import type { Mapping } from '../plan.js';
import { actionFact, derivedId, record, type Draft } from './draft.js';
import { applyMapping, withoutAnswer, type Mapped, type Unresolved } from '../expression/mapping.js';
import { quotedBytes } from '../effects/room.js';
import { countMade, countStep, withFreshChain, measureContext, type Measured, type Work } from './work.js';

// What a step leaves in its run when it has happened: context and evidence.

interface Done {
  readonly output: Json;
  readonly response: Json;
  readonly evidence: readonly string[];
}

/** The outcome of a step that calls nothing. */
export const nothingCalled: Done = { output: null, response: null, evidence: [] };

/** Writes what the step's mapping makes of its outcome, and its evidence. A problem: the context cannot be kept, and nothing was written. */
export function writeResult(
  draft: Draft,
  step: { readonly output: readonly Mapping[]; readonly evidence: string | null },
  action: Action,
  { output, response, evidence }: Done,
): Problem | null {
  const { run } = draft;
  const scopes = { arguments: action.arguments, context: run.context, input: run.input, output, response };
  const { context, written, bytes, unresolved } = applyMapping(step.output, scopes, draft.work);
  recordUnresolved(draft, action, unresolved);
  const problem = whyUnkept(draft.work, run.context, { context, written, bytes });
  if (problem !== null) return { code: 'STATE_TOO_LARGE', message: `${problem}; map less of it` };
  if (context !== null) run.context = context;
  draft.work.sound.add(run.context);
  addEvidence(draft, action, [...evidence, ...(step.evidence === null ? [] : [step.evidence])]);
  return null;
}

/** Records the paths that did not resolve: one record for the step, with the first path; of several, with the first few and their number. */
function recordUnresolved(draft: Draft, action: Action, { count, paths }: Unresolved): void {
  const [path] = paths;
  if (path === undefined) return;
  const data = count === 1 ? { path } : { path, paths, count };
  countStep(draft.work);
  countMade(draft.work, paths.join('').length);
  record(draft, 'mapping.unresolved', { action: actionFact(action), data });
}

/** Asked before anything is called: why the context could not keep what a step writes, whatever its call answers. Null: it could. */
export function contextProblem(
  { run, work }: Pick<Draft, 'run' | 'work'>,
  step: { readonly output: readonly Mapping[] },
  args: JsonObject,
): string | null {
  const { context, input } = run;
  const scopes = { arguments: args, context, input, output: null, response: null };
  // Charged to a room of its own: the chain is charged when the step is written.
  const asked = withFreshChain(work);
  const problem = whyUnkept(asked, context, applyMapping(withoutAnswer(step.output), scopes, asked));
  return problem === null ? null : `${problem}: send less, or map less of it`;
}

/** Why a context cannot be kept; null: it can. A mapping may nest the context in itself, time and again, so depth is checked before anything recurses into it. */
function whyUnkept(
  work: Work,
  before: JsonObject,
  { context, written, bytes }: Pick<Mapped, 'context' | 'written' | 'bytes'>,
): string | null {
  if (context === null)
    return `what the mapping writes takes at least ${bytes} bytes, and ${mostContextBytes} are the most that a context takes`;
  if (context === before) return null;
  const measured = measureWritten(work, measureContext(work, before), before, written);
  work.contexts.set(context, measured);
  if (measured.trouble !== null) return `the context cannot be kept: ${measured.trouble}`;
  return measured.bytes > mostContextBytes
    ? `the context would take ${measured.bytes} bytes, and ${mostContextBytes} are the most`
    : null;
}

/** The size of a context after a mapping. Only what was written is measured: a chain writes little of a large context, time and again. */
function measureWritten(
  { measure }: Work,
  { bytes, trouble }: Measured,
  before: JsonObject,
  written: ReadonlyMap<string, Json>,
): Measured {
  const isEmpty = Object.keys(before).length === 0;
  let more = isEmpty ? -1 : 0;
  let found = trouble;
  for (const [name, value] of written) {
    const now = measure(value);
    found ??= jsonTrouble(name) ?? now.trouble;
    const old = Object.hasOwn(before, name) ? before[name] : undefined;
    more += now.bytes + (old === undefined ? quotedBytes(name) + 2 : -measure(old).bytes);
  }
  return { bytes: bytes + more, trouble: found };
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
