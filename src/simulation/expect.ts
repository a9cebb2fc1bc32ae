import { links } from '../engine/index.js';
import type { ApprovalState } from '../engine/state.js';
import { isOpen } from '../model/approval-status.js';
import { sameJson } from '../model/canonical.js';
import { isObject, type Json, type JsonObject } from '../model/json.js';
import type { Principal } from '../model/principal.js';
import type { Fact } from '../model/records.js';
import type { PathSegment } from '../policy/text/problems.js';
import type { ExpectShape, RecordExpectation } from '../policy/shape/tests.js';
import type { Happened } from './play.js';

// What was expected beside what happened.

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
    ...ofAnswer(shape, seen),
    ...ofRun(shape, seen),
    ...ofProblem(shape.problem, seen),
    ...ofApproval(shape.approval, seen),
    ...ofRecords(shape, happened.facts),
    ...Object.entries(shape.links ?? {}).flatMap(([name, rels]) => ofLinks(name, rels, seen)),
  ];
}

/** No expectation was written: it must not be refused, and a run that gets stuck is no silent success. */
export function withoutExpectation(happened: Happened, shape: ExpectShape | null): Difference[] {
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
  return { path, expected: shown(expected), actual: shown(actual) };
}

function shown(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Nothing when nothing was expected of it. */
function same(path: readonly PathSegment[], expected: Json | undefined, actual: Json): Difference[] {
  return expected === undefined || sameJson(expected, actual) ? [] : [differ(path, expected, actual)];
}

function contains(path: readonly PathSegment[], expected: string | undefined, actual: string): Difference[] {
  return expected === undefined || actual.toLowerCase().includes(expected.toLowerCase())
    ? []
    : [differ(path, `… ${expected} …`, actual === '' ? 'nothing' : actual)];
}

function ofAnswer(shape: ExpectShape, { happened }: Seen): Difference[] {
  const { answer, play } = happened;
  const refusal = answer?.status === 'refused' ? answer : null;
  const verdict = answer?.status ?? (play.run.executing === null ? 'nothing' : 'executing');
  const guard = refusal?.guard ?? null;
  const wanted = typeof shape.guard === 'number' ? { index: shape.guard } : (shape.guard ?? {});
  const none = 'none';
  return [
    ...same(['verdict'], shape.verdict, verdict),
    ...same(['code'], shape.code, refusal?.code ?? none),
    ...same(['guard'], wanted.index, guard?.index ?? none),
    ...same(['guard', 'kind'], wanted.kind, guard?.kind ?? none),
    ...same(['guard', 'verdict'], wanted.verdict, guard?.verdict ?? none),
    ...contains(['guard', 'reason'], wanted.reason, guard?.reason ?? ''),
    ...same(['rule'], shape.rule, refusal?.rule ?? none),
    ...same(['why'], shape.why, refusal?.why ?? none),
    ...same(['class'], shape.class, refusal?.errorClass ?? none),
    ...contains(['message'], shape.message, refusal?.message ?? ''),
    ...same(['errors'], shape.errors, refusal?.errors?.map((one) => one.pointer) ?? []),
    ...same(
      ['chain'],
      shape.chain,
      answer?.status === 'executed' ? answer.chain.map((one) => one.transition) : [],
    ),
  ];
}

function ofRun(shape: ExpectShape, { happened: { play } }: Seen): Difference[] {
  const { run } = play;
  return [
    ...same(['state'], shape.state, run.state),
    ...same(['status'], shape.status, run.status),
    ...same(['version'], shape.version, run.version),
    ...same(['executing'], shape.executing, run.executing?.action.transition ?? null),
    ...Object.entries(shape.context ?? {}).flatMap(([key, value]) =>
      same(['context', key], value, Object.hasOwn(run.context, key) ? (run.context[key] ?? null) : 'nothing'),
    ),
    ...Object.entries(shape.evidence ?? {}).flatMap(([kind, count]) =>
      same(['evidence', kind], count, run.evidence.filter((one) => one.kind === kind).length),
    ),
  ];
}

function ofProblem(wanted: ExpectShape['problem'], { happened: { play } }: Seen): Difference[] {
  const { problem } = play.run;
  if (wanted === undefined) return [];
  if (wanted === null) return same(['problem'], null, problem?.code ?? null);
  if (typeof wanted === 'string') return same(['problem'], wanted, problem?.code ?? null);
  return [
    ...same(['problem', 'code'], wanted.code, problem?.code ?? null),
    ...same(['problem', 'class'], wanted.class, problem?.errorClass ?? null),
    ...contains(['problem', 'message'], wanted.message, problem?.message ?? ''),
  ];
}

/** The newest approval, or the newest of that transition. */
function ofApproval(wanted: ExpectShape['approval'], { happened: { play } }: Seen): Difference[] {
  if (wanted === undefined) return [];
  const all = play.run.approvals;
  if (wanted === null) {
    const open = all.find(({ status }) => isOpen(status));
    return same(['approval'], null, open === undefined ? null : `open, of ${open.action.transition}`);
  }
  const { transition = undefined, ...rest } = typeof wanted === 'string' ? { status: wanted } : wanted;
  const found = all.filter((one) => transition === undefined || one.action.transition === transition).at(-1);
  if (found === undefined)
    return [
      differ(
        ['approval'],
        transition === undefined ? 'an approval' : `an approval of ${transition}`,
        'none was opened',
      ),
    ];
  return ofOne(rest, found);
}

function ofOne(
  wanted: Exclude<ExpectShape['approval'], string | null | undefined>,
  found: ApprovalState,
): Difference[] {
  return [
    ...same(['approval', 'status'], wanted.status, found.status),
    ...same(['approval', 'roles'], wanted.roles, found.roles),
    ...same(
      ['approval', 'quorum'],
      wanted.quorum,
      Math.max(...found.gates.map(({ rule }) => rule.quorum.count)),
    ),
    ...same(['approval', 'decisions'], wanted.decisions, found.decisions.length),
    ...contains(['approval', 'because'], wanted.because, found.asked.map(({ rule }) => rule).join('; ')),
  ];
}

function ofRecords(shape: ExpectShape, facts: readonly Fact[]): Difference[] {
  const written = facts.map((one) => one.type);
  const { records, someRecords = [], noRecords = [] } = shape;
  const exact =
    records === undefined
      ? []
      : records.length === facts.length && records.every((one, index) => fits(one, facts[index]))
        ? []
        : [differ(['records'], records.map(recordText).join(', ') || 'none', nearestText(records, facts))];
  return [
    ...exact,
    ...someRecords.flatMap((one, index) =>
      facts.some((fact) => fits(one, fact))
        ? []
        : [differ(['someRecords', index], recordText(one), nearestText([one], facts))],
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
    (data === undefined || within(data, fact.data))
  );
}

/** Every key that is named has that value. */
function within(wanted: JsonObject, actual: Json): boolean {
  return (
    isObject(actual) &&
    Object.entries(wanted).every(
      ([key, value]) => Object.hasOwn(actual, key) && sameJson(value, actual[key] ?? null),
    )
  );
}

function recordText(one: RecordExpectation): string {
  if (typeof one === 'string') return one;
  const { type, ...fields } = one;
  return `${type} ${JSON.stringify(fields)}`;
}

/** The records as far as the expectation looks: where it names fields, with the fields of that type. */
function nearestText(wanted: readonly RecordExpectation[], facts: readonly Fact[]): string {
  const detailed = new Set(wanted.flatMap((one) => (typeof one === 'string' ? [] : [one.type as string])));
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

function ofLinks(
  name: string,
  rels: readonly string[],
  { happened: { play }, principals }: Seen,
): Difference[] {
  const principal = principals.get(name);
  if (principal === undefined) return [];
  const offered = links(play.plan, play.run, principal, play.kit).map((one) => one.rel);
  return same(['links', name], [...rels].sort(), [...offered].sort());
}
