import { keptPayloads } from '../../audit/index.js';
import type { ReconstructionJson } from '../../model/answer-types.js';
import { isObject, type Json } from '../../model/json.js';
import { mostAnswerBytes } from '../../model/limits.js';
import type { PayloadRef } from '../../model/records.js';
import { readText } from '../values.js';
import type { ServiceDeps } from '../deps.js';
import { inLanes } from '../lanes.js';
import type { Told } from './reconstruction.js';

type ToldAction = ReconstructionJson['actions'][number];

export interface Shown {
  readonly body: ToldAction;
  readonly expected: number;
  readonly missing: number;
  readonly omitted: number;
}

const parts = ['prompt', 'response', 'input', 'output', 'reason'] as const;
type Part = (typeof parts)[number];
type Refs = Readonly<Record<Part, PayloadRef | null>>;

/** Actions whose values are read at a time. */
const readers = 4;

/** With the values that one answer carries, from the first action on; the others are named by size and commitment. */
export async function showAll(deps: ServiceDeps, told: readonly Told[]): Promise<Shown[]> {
  const all = told.map((one) => ({ told: one, refs: refsOf(one) }));
  const omitted = beyondBudget(all.map(({ refs }) => refs));
  const kept = await keptPayloads(deps.pool, [...omitted]);
  return inLanes(all, readers, (one) => show(deps, one.told, one.refs, { omitted, kept }));
}

function refsOf(told: Told): Refs {
  const of = (role: PayloadRef['role']): PayloadRef | null =>
    told.refs.find((ref) => ref.role === role) ?? null;
  return {
    prompt: of('prompt'),
    response: of('response'),
    input: of('args'),
    output: told.output,
    reason: told.approval?.reason ?? null,
  };
}

function beyondBudget(all: readonly Refs[]): ReadonlySet<PayloadRef> {
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

interface Beyond {
  readonly omitted: ReadonlySet<PayloadRef>;
  /** Payload ids of those omitted that could be read: they are not missing. */
  readonly kept: ReadonlySet<string>;
}

/** The eight parts, and which of those that there should be are not there. */
async function show(deps: ServiceDeps, told: Told, refs: Refs, beyond: Beyond): Promise<Shown> {
  const left = parts.flatMap((part) => {
    const ref = refs[part];
    return ref !== null && beyond.omitted.has(ref) && beyond.kept.has(ref.payload)
      ? [{ part, bytes: ref.bytes, commit: ref.commit, payload: ref.payload }]
      : [];
  });
  const texts: Partial<Record<Part, string | null>> = {};
  for (const part of parts) {
    const ref = refs[part];
    texts[part] = ref !== null && beyond.omitted.has(ref) ? null : await readText(deps, ref);
  }
  const isThere = (part: Part): boolean =>
    (texts[part] ?? null) !== null || left.some((one) => one.part === part);
  const wanted: readonly (readonly [string, boolean, boolean])[] = [
    ['prompt', told.byAgent, isThere('prompt')],
    ['response', told.byAgent, isThere('response')],
    ['input', refs.input !== null, isThere('input')],
    ['approval', told.gated && told.outcome !== 'none', told.approval !== null],
    ['output', refs.output !== null, isThere('output')],
    ['timing', told.started !== null, told.settledAt !== null],
  ];
  const missing = wanted.flatMap(([name, isWanted, there]) => (isWanted && !there ? [name] : []));
  return {
    body: bodyOf(told, texts, missing, left),
    expected: wanted.filter(([, isWanted]) => isWanted).length,
    missing: missing.length,
    omitted: left.length,
  };
}

function bodyOf(
  told: Told,
  texts: Partial<Record<Part, string | null>>,
  missing: string[],
  omitted: NonNullable<ToldAction['omitted']>,
): ToldAction {
  const { prompt = null, response = null, reason = null } = texts;
  const input = jsonOf(texts.input);
  const { approval } = told;
  return {
    id: told.id,
    transition: told.transition,
    tool: told.tool,
    prompt,
    response,
    input: isObject(input) ? input : null,
    policy: told.policy,
    approval:
      approval === null
        ? null
        : { decision: approval.decision, by: approval.by, at: approval.at, reason, digest: approval.digest },
    output: jsonOf(texts.output),
    timing: { requestedAt: told.requestedAt, startedAt: told.started, settledAt: told.settledAt },
    attempts: told.attempts,
    errors: told.errors,
    missing,
    ...(omitted.length === 0 ? {} : { omitted }),
  };
}

function jsonOf(text: string | null | undefined): Json {
  return text === null || text === undefined ? null : (JSON.parse(text) as Json);
}
