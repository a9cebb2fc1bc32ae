import { links } from '../engine/index.js';
import type { ApprovalState } from '../engine/state.js';
import { isOpen } from '../model/approval-status.js';
import { sameJson } from '../model/values/canonical.js';
import { isObject, type Json, type JsonObject } from '../model/values/json.js';
import type { Principal } from '../model/principal.js';
import type { Fact } from '../model/records.js';
import type { PathSegment } from '../policy/text/problems.js';
import type { ExpectShape, RecordExpectation } from '../policy/shape/tests.js';
import type { Happened } from './play.js';

// Compares what a case expects with what happened.

export interface Difference {
  readonly path: readonly PathSegment[];
  readonly expected: string;
  readonly actual: string;
}

interface Seen {
  readonly happened: Happened;
  readonly principals: ReadonlyMap<string, Principal>;
}

export function differences(
  shape: ExpectShape,
  happened: Happened,
  principals: ReadonlyMap<string, Principal>,
): Difference[] {
  const seen: Seen = { happened, principals };
  return [
    ...differencesOfAnswer(shape, seen),
    ...differencesOfRun(shape, seen),
    ...differencesOfProblem(shape.problem, seen),
    ...differencesOfApproval(shape.approval, seen),
    ...differencesOfRecords(shape, happened.facts),
    ...Object.entries(shape.links ?? {}).flatMap(([name, rels]) => differencesOfLinks(name, rels, seen)),
  ];
}

/** What no case has to write: a step without `expect` must not be refused; and a run must not get stuck, unless status or problem are expected. */
export function unexpectedTrouble(happened: Happened, shape: ExpectShape | null): Difference[] {
  const { answer, before, play } = happened;
  const refused = shape === null && answer?.status === 'refused';
  const stuck = play.run.status === 'stuck' && before.status !== 'stuck';
  const told = shape?.status !== undefined || shape?.problem !== undefined;
  return [
    ...(refused ? [differ(['verdict'], 'not refused', `refused: ${answer.code}`)] : []),
    ...(stuck && !told ? [differ(['status'], 'not stuck', `stuck: ${play.run.problem?.code ?? ''}`)] : []),
  ];
}

function differ(path: readonly PathSegment[], expected: Json, actual: Json): Difference {
  return { path, expected: valueText(expected), actual: valueText(actual) };
}

function valueText(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** No difference where nothing was expected. */
function compareExact(path: readonly PathSegment[], expected: Json | undefined, actual: Json): Difference[] {
  return expected === undefined || sameJson(expected, actual) ? [] : [differ(path, expected, actual)];
}

function compareContained(
  path: readonly PathSegment[],
  expected: string | undefined,
  actual: string,
): Difference[] {
  return expected === undefined || actual.toLowerCase().includes(expected.toLowerCase())
    ? []
    : [differ(path, `… ${expected} …`, actual === '' ? 'nothing' : actual)];
}

function differencesOfAnswer(shape: ExpectShape, { happened }: Seen): Difference[] {
  const { answer, play } = happened;
  const refusal = answer?.status === 'refused' ? answer : null;
  const verdict = answer?.status ?? (play.run.executing === null ? 'nothing' : 'executing');
  const guard = refusal?.guard ?? null;
  const wanted = typeof shape.guard === 'number' ? { index: shape.guard } : (shape.guard ?? {});
  const none = 'none';
  return [
    ...compareExact(['verdict'], shape.verdict, verdict),
    ...compareExact(['code'], shape.code, refusal?.code ?? none),
    ...compareExact(['guard'], wanted.index, guard?.index ?? none),
    ...compareExact(['guard', 'kind'], wanted.kind, guard?.kind ?? none),
    ...compareExact(['guard', 'verdict'], wanted.verdict, guard?.verdict ?? none),
    ...compareContained(['guard', 'reason'], wanted.reason, guard?.reason ?? ''),
    ...compareExact(['rule'], shape.rule, refusal?.rule ?? none),
    ...compareExact(['why'], shape.why, refusal?.why ?? none),
    ...compareExact(['class'], shape.class, refusal?.errorClass ?? none),
    ...compareContained(['message'], shape.message, refusal?.message ?? ''),
    ...compareExact(['errors'], shape.errors, refusal?.errors?.map((error) => error.pointer) ?? []),
    ...compareExact(
      ['chain'],
      shape.chain,
      answer?.status === 'executed' ? answer.chain.map((step) => step.transition) : [],
    ),
  ];
}

function differencesOfRun(shape: ExpectShape, { happened: { play } }: Seen): Difference[] {
  const { run } = play;
  return [
    ...compareExact(['state'], shape.state, run.state),
    ...compareExact(['status'], shape.status, run.status),
    ...compareExact(['version'], shape.version, run.version),
    ...compareExact(['executing'], shape.executing, run.executing?.action.transition ?? null),
    ...Object.entries(shape.context ?? {}).flatMap(([key, value]) =>
      compareExact(
        ['context', key],
        value,
        Object.hasOwn(run.context, key) ? (run.context[key] ?? null) : 'nothing',
      ),
    ),
    ...Object.entries(shape.evidence ?? {}).flatMap(([kind, count]) =>
      compareExact(['evidence', kind], count, run.evidence.filter((item) => item.kind === kind).length),
    ),
  ];
}

function differencesOfProblem(wanted: ExpectShape['problem'], { happened: { play } }: Seen): Difference[] {
  const { problem } = play.run;
  if (wanted === undefined) return [];
  if (wanted === null) return compareExact(['problem'], null, problem?.code ?? null);
  if (typeof wanted === 'string') return compareExact(['problem'], wanted, problem?.code ?? null);
  return [
    ...compareExact(['problem', 'code'], wanted.code, problem?.code ?? null),
    ...compareExact(['problem', 'class'], wanted.class, problem?.errorClass ?? null),
    ...compareContained(['problem', 'message'], wanted.message, problem?.message ?? ''),
  ];
}

/** Of the newest approval, or the newest of the transition that is named. */
function differencesOfApproval(wanted: ExpectShape['approval'], { happened: { play } }: Seen): Difference[] {
  if (wanted === undefined) return [];
  const all = play.run.approvals;
  if (wanted === null) {
    const open = all.find(({ status }) => isOpen(status));
    return compareExact(['approval'], null, open === undefined ? null : `open, of ${open.action.transition}`);
  }
  const { transition = undefined, ...rest } = typeof wanted === 'string' ? { status: wanted } : wanted;
  const found = all
    .filter((approval) => transition === undefined || approval.action.transition === transition)
    .at(-1);
  if (found === undefined)
    return [
      differ(
        ['approval'],
        transition === undefined ? 'an approval' : `an approval of ${transition}`,
        'none was opened',
      ),
    ];
  return differencesOfFoundApproval(rest, found);
}

function differencesOfFoundApproval(
  wanted: Exclude<ExpectShape['approval'], string | null | undefined>,
  found: ApprovalState,
): Difference[] {
  return [
    ...compareExact(['approval', 'status'], wanted.status, found.status),
    ...compareExact(['approval', 'roles'], wanted.roles, found.roles),
    ...compareExact(
      ['approval', 'quorum'],
      wanted.quorum,
      Math.max(...found.gates.map(({ rule }) => rule.quorum.count)),
    ),
    ...compareExact(['approval', 'decisions'], wanted.decisions, found.decisions.length),
    ...compareContained(
      ['approval', 'because'],
      wanted.because,
      found.asked.map(({ rule }) => rule).join('; '),
    ),
  ];
}

function differencesOfRecords(shape: ExpectShape, facts: readonly Fact[]): Difference[] {
  const written = facts.map((fact) => fact.type);
  const { records, someRecords = [], noRecords = [] } = shape;
  const exact =
    records === undefined
      ? []
      : records.length === facts.length && records.every((record, index) => fits(record, facts[index]))
        ? []
        : [differ(['records'], records.map(recordText).join(', ') || 'none', nearestText(records, facts))];
  return [
    ...exact,
    ...someRecords.flatMap((record, index) =>
      facts.some((fact) => fits(record, fact))
        ? []
        : [differ(['someRecords', index], recordText(record), nearestText([record], facts))],
    ),
    ...noRecords.flatMap((type, index) =>
      written.includes(type) ? [differ(['noRecords', index], `no ${type}`, type)] : [],
    ),
  ];
}

function fits(wanted: RecordExpectation, fact: Fact | undefined): boolean {
  if (fact === undefined) return false;
  if (typeof wanted === 'string') return fact.type === wanted;
  const { type, by, transition, tool, permission, rule, verdict, reason, data } = wanted;
  const equal = (expected: string | undefined, actual: string | undefined): boolean =>
    expected === undefined || expected === actual;
  return (
    fact.type === type &&
    equal(by, fact.actor.id) &&
    equal(transition, fact.action?.transition) &&
    equal(tool, fact.action?.tool) &&
    equal(permission, fact.permission) &&
    equal(rule, fact.policy?.rule) &&
    equal(verdict, fact.policy?.verdict) &&
    (reason === undefined || (fact.policy?.reason ?? '').includes(reason)) &&
    (data === undefined || hasAll(data, fact.data))
  );
}

/** `actual` has every key of `wanted`, with the same value. */
function hasAll(wanted: JsonObject, actual: Json): boolean {
  return (
    isObject(actual) &&
    Object.entries(wanted).every(
      ([key, value]) => Object.hasOwn(actual, key) && sameJson(value, actual[key] ?? null),
    )
  );
}

function recordText(record: RecordExpectation): string {
  if (typeof record === 'string') return record;
  const { type, ...fields } = record;
  return `${type} ${JSON.stringify(fields)}`;
}

/** The records as far as they were expected: of a type whose fields were expected, with its fields. */
function nearestText(wanted: readonly RecordExpectation[], facts: readonly Fact[]): string {
  const detailed = new Set(
    wanted.flatMap((record) => (typeof record === 'string' ? [] : [record.type as string])),
  );
  return (
    facts
      .map((fact) => {
        if (!detailed.has(fact.type)) return fact.type;
        const { actor, action, policy, data } = fact;
        return `${fact.type} ${JSON.stringify({ by: actor.id, transition: action?.transition, ...policy, data })}`;
      })
      .join(', ') || 'none'
  );
}

function differencesOfLinks(
  name: string,
  rels: readonly string[],
  { happened: { play }, principals }: Seen,
): Difference[] {
  const principal = principals.get(name);
  if (principal === undefined) return [];
  const offered = links(play.plan, play.run, principal, play.kit).map((link) => link.rel);
  return compareExact(['links', name], [...rels].sort(), [...offered].sort());
}
