import { keptPayloads } from '../../audit/index.js';
import type { ReconstructionJson } from '../../model/contract/answer-types.js';
import { isObject, type Json } from '../../model/values/json.js';
import { mostAnswerBytes } from '../../model/limits.js';
import type { PayloadRef } from '../../model/records.js';
import { readAll, readText } from '../values.js';
import type { ServiceDeps } from '../deps.js';
import { inLanes } from '../lanes.js';
import type { ReconstructedAction } from './reconstruction.js';

type ActionJson = ReconstructionJson['actions'][number];

export interface ActionWithValues {
  readonly body: ActionJson;
  readonly expected: number;
  readonly missing: number;
  readonly omitted: number;
}

const parts = ['prompt', 'response', 'input', 'output', 'reason'] as const;
type Part = (typeof parts)[number];
type Refs = Readonly<Record<Part, PayloadRef | null>>;

/** How many actions' values are read at a time. */
const readers = 4;

/**
 * The actions with their values, from the first on, as many as an answer may carry; the others are named by size and
 * commitment.
 */
export async function readAllValues(
  deps: ServiceDeps,
  actions: readonly ReconstructedAction[],
): Promise<ActionWithValues[]> {
  const all = actions.map((action) => ({ action, refs: refsOf(action) }));
  const omitted = refsOverBudget(all.map(({ refs }) => refs));
  const kept = await keptPayloads(deps.pool, [...omitted]);
  return inLanes(all, readers, (item) => readValues(deps, item.action, item.refs, { omitted, kept }));
}

function refsOf(action: ReconstructedAction): Refs {
  const of = (role: PayloadRef['role']): PayloadRef | null =>
    action.refs.find((ref) => ref.role === role) ?? null;
  return {
    prompt: of('prompt'),
    response: of('response'),
    input: of('args'),
    output: action.output,
    reason: action.approval?.reason ?? givenReason(action),
  };
}

/** Why an operator asks for a cancel or a retry. */
function givenReason({ approval, refs }: ReconstructedAction): PayloadRef | null {
  return approval === null ? (refs.find(({ role }) => role === 'reason') ?? null) : null;
}

function refsOverBudget(all: readonly Refs[]): ReadonlySet<PayloadRef> {
  const omitted = new Set<PayloadRef>();
  let left = mostAnswerBytes;
  for (const refs of all)
    for (const part of parts) {
      const ref = refs[part];
      if (ref === null) continue;
      if (ref.bytes > left) omitted.add(ref);
      else left -= ref.bytes;
    }
  return omitted;
}

interface OverBudget {
  readonly omitted: ReadonlySet<PayloadRef>;
  /** Payload ids of omitted values that could be read: they are not missing. */
  readonly kept: ReadonlySet<string>;
}

/** An action with its values, and which of the parts that it should have are missing. */
async function readValues(
  deps: ServiceDeps,
  action: ReconstructedAction,
  refs: Refs,
  overBudget: OverBudget,
): Promise<ActionWithValues> {
  const omitted = parts.flatMap((part) => {
    const ref = refs[part];
    return ref !== null && overBudget.omitted.has(ref) && overBudget.kept.has(ref.payload)
      ? [{ part, bytes: ref.bytes, commit: ref.commit, payload: ref.payload }]
      : [];
  });
  const texts: Partial<Record<Part, string | null>> = {};
  for (const part of parts) {
    const ref = refs[part];
    if (ref !== null && overBudget.omitted.has(ref)) texts[part] = null;
    // A reason may be under a key of another process: that hides nothing else.
    else if (part === 'reason' && ref !== null) texts[part] = (await readAll(deps, [ref])).text(ref);
    else texts[part] = await readText(deps, ref);
  }
  const isThere = (part: Part): boolean =>
    (texts[part] ?? null) !== null || omitted.some((value) => value.part === part);
  const wanted: readonly (readonly [string, boolean, boolean])[] = [
    ['prompt', action.byAgent, isThere('prompt')],
    ['response', action.byAgent, isThere('response')],
    ['input', refs.input !== null, isThere('input')],
    ['approval', action.gated && action.outcome !== 'none', action.approval !== null],
    ['output', refs.output !== null, isThere('output')],
    ['reason', refs.reason !== null, isThere('reason')],
    ['timing', action.started !== null, action.settledAt !== null],
  ];
  const missing = wanted.flatMap(([name, isWanted, there]) => (isWanted && !there ? [name] : []));
  return {
    body: actionJson(action, texts, missing, omitted),
    expected: wanted.filter(([, isWanted]) => isWanted).length,
    missing: missing.length,
    omitted: omitted.length,
  };
}

function actionJson(
  action: ReconstructedAction,
  texts: Partial<Record<Part, string | null>>,
  missing: string[],
  omitted: NonNullable<ActionJson['omitted']>,
): ActionJson {
  const { prompt = null, response = null, reason = null } = texts;
  const input = parseText(texts.input);
  const { approval } = action;
  return {
    id: action.id,
    transition: action.transition,
    tool: action.tool,
    prompt,
    response,
    input: isObject(input) ? input : null,
    policy: action.policy,
    approval:
      approval === null
        ? null
        : { decision: approval.decision, by: approval.by, at: approval.at, reason, digest: approval.digest },
    ...(givenReason(action) === null ? {} : { reason }),
    output: parseText(texts.output),
    timing: { requestedAt: action.requestedAt, startedAt: action.started, settledAt: action.settledAt },
    attempts: action.attempts,
    errors: action.errors,
    missing,
    ...(omitted.length === 0 ? {} : { omitted }),
  };
}

function parseText(text: string | null | undefined): Json {
  return text === null || text === undefined ? null : (JSON.parse(text) as Json);
}
