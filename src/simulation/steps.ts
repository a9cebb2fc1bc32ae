import type { JsonObject } from '../model/values/json.js';
import type { Principal } from '../model/principal.js';
import { isBlank } from '../model/values/text.js';
import type { CompiledFlow } from '../policy/index.js';
import type { PathSegment } from '../policy/text/problems.js';
import type { AnswerShape, CaseShape, ExpectationShape, StepShape } from '../policy/shape/tests.js';
import type { Act } from './play.js';
import { complain, checkContextKeys, findNamed, type CaseReading } from './names.js';
import type { Expectation, Step } from './types.js';
import { expectationOf } from './words.js';

// What a case does: an action, the same action by several principals, or a sequence.

type Path = readonly PathSegment[];

interface Run {
  readonly name: string;
  readonly path: Path;
  readonly steps: readonly Step[];
}

/** The keys that go with each action; the first of a row names the action. */
const rows = [
  ['submit', 'as', 'with', 'expectedVersion'],
  ['approve', 'approval', 'reason', 'digest'],
  ['deny', 'approval', 'reason', 'digest'],
  ['answered', 'response', 'evidence'],
  ['failed', 'message'],
  ['passes', 'approval'],
  ['cancel'],
  ['retry'],
] as const;
type Key = (typeof rows)[number][number];
const keys = [...new Set(rows.flat())];
const verbs = rows.map(([verb]) => verb);

export function readSteps(reading: CaseReading, shape: CaseShape, flow: CompiledFlow, path: Path): Run[] {
  const from: From = { reading, flow };
  const given = keys.filter((key) => Object.hasOwn(shape, key));
  if (shape.steps !== undefined) {
    const stray = [...given, ...(shape.expect === undefined ? [] : ['expect' as const])][0];
    if (stray !== undefined)
      complain(
        reading,
        'UNKNOWN_KEY',
        [...path, stray],
        `with \`steps\`, \`${stray}\` belongs to one of the steps`,
      );
    const steps = shape.steps.map((step, index) =>
      readStep(from, step, [...path, 'steps', index], `step ${index + 1}: `),
    );
    return [{ name: shape.name, path, steps: steps.filter((step) => step !== null) }];
  }
  if (given.length === 0) return readLook(from, shape, path);
  if (typeof shape.as === 'object') return readTable(from, shape, shape.as, path);
  const step = readStep(from, { ...shape, as: shape.as }, path, '');
  requireExpect(from, shape, path);
  return step === null ? [] : [{ name: shape.name, path, steps: [step] }];
}

export interface From {
  readonly reading: CaseReading;
  readonly flow: CompiledFlow;
}

/** A case that does nothing looks at the run as it starts, or as it was placed. */
function readLook(from: From, shape: CaseShape, path: Path): Run[] {
  requireExpect(from, shape, path);
  const expect = readExpect(from, shape.expect, [...path, 'expect']);
  const title = shape.state === undefined ? 'after the start' : `in state \`${shape.state}\``;
  return [{ name: shape.name, path, steps: [{ path, title, act: { kind: 'look' }, expect }] }];
}

function requireExpect({ reading }: From, shape: CaseShape, path: Path): void {
  if (shape.expect !== undefined) return;
  complain(
    reading,
    'REQUIRED',
    [...path, 'name'],
    `case \`${shape.name}\` expects nothing: write \`expect: executed\`, \`expect: GUARD_REJECTED\` …`,
  );
}

/** The same action by several principals: a case for each, all from the same beginning. */
function readTable(
  from: From,
  shape: CaseShape,
  whom: readonly string[] | Readonly<Record<string, ExpectationShape>>,
  path: Path,
): Run[] {
  const { as: _as, expect: _expect, ...rest } = shape;
  const list = Array.isArray(whom);
  const entries: readonly (readonly [string, ExpectationShape | undefined, Path, Path])[] = list
    ? (whom as readonly string[]).map(
        (name, index) => [name, shape.expect, [...path, 'as', index], [...path, 'expect']] as const,
      )
    : Object.entries(whom as Readonly<Record<string, ExpectationShape>>).map(
        ([name, expect]) => [name, expect, [...path, 'as', name], [...path, 'as', name]] as const,
      );
  if (list) requireExpect(from, shape, path);
  else if (shape.expect !== undefined)
    complain(
      from.reading,
      'UNKNOWN_KEY',
      [...path, 'expect'],
      'each of `as` has its own expectation already',
    );
  return entries.flatMap(([name, expect, at, expectAt]) => {
    if (findNamed(from.reading, 'principal', name, from.reading.principals, at) === null) return [];
    const step = readStep(from, { ...rest, as: name }, path, '', { shape: expect, path: expectAt });
    return step === null ? [] : [{ name: `${shape.name} (${name})`, path: list ? path : at, steps: [step] }];
  });
}

/** Null: the step cannot be read, and a problem was reported. */
export function readStep(
  from: From,
  shape: StepShape,
  path: Path,
  prefix: string,
  expected: { readonly shape: ExpectationShape | undefined; readonly path: Path } = {
    shape: shape.expect,
    path: [...path, 'expect'],
  },
): Step | null {
  const { reading } = from;
  const said = verbs.filter((verb) => Object.hasOwn(shape, verb));
  const [verb] = said;
  if (verb === undefined || said.length > 1) {
    const which =
      said.length > 1 ? `not ${said.map((name) => `\`${name}\``).join(' and ')}` : 'and none is named';
    complain(
      reading,
      'ONE_ACTION',
      path,
      `a step does one thing, ${which}: ${verbs.map((name) => `\`${name}\``).join(', ')}`,
    );
    return null;
  }
  const row: readonly string[] = rows.find(([first]) => first === verb) ?? [];
  const stray = keys.find(
    (key: Key) => Object.hasOwn(shape, key) && shape[key] !== undefined && !row.includes(key),
  );
  if (stray !== undefined) {
    complain(
      reading,
      'UNKNOWN_KEY',
      [...path, stray],
      `\`${stray}\` does not go with \`${verb}\`: leave it out`,
    );
    return null;
  }
  const expect = readExpect(from, expected.shape, expected.path);
  const made = actOf(from, shape, verb, path, expect);
  return made === null ? null : { path, title: `${prefix}${made.title}`, act: made.act, expect };
}

interface Made {
  readonly act: Act;
  readonly title: string;
}

function actOf(
  from: From,
  shape: StepShape,
  verb: (typeof verbs)[number],
  path: Path,
  expect: Expectation | null,
): Made | null {
  switch (verb) {
    case 'submit':
      return submitOf(from, shape, path, expect);
    case 'approve':
    case 'deny':
      return decideOf(from, shape, verb, path);
    case 'answered':
    case 'failed':
      return {
        act: { kind: 'answer', answer: answerOf(shape) },
        title: verb === 'failed' ? `the executor fails with ${shape.failed ?? ''}` : 'the executor answers',
      };
    case 'passes': {
      const what = shape.passes ?? 'deadline';
      checkTransition(from, shape.approval, [...path, 'approval']);
      return { act: { kind: 'passes', what, approval: shape.approval ?? null }, title: `the ${what} passes` };
    }
    case 'cancel':
    case 'retry': {
      const as = principalOf(from, shape[verb], [...path, verb]);
      return as === null ? null : { act: { kind: verb, as }, title: `${verb} by \`${shape[verb] ?? ''}\`` };
    }
  }
}

function answerOf({ answered, response, evidence, failed, message }: StepShape): AnswerShape {
  if (failed !== undefined) return { failed, message };
  return { output: answered ?? null, response, evidence };
}

function principalOf({ reading }: From, name: string | undefined, path: Path): Principal | null {
  if (name !== undefined) return findNamed(reading, 'principal', name, reading.principals, path);
  complain(reading, 'REQUIRED', path, '`as` is required here: the principal who submits');
  return null;
}

function submitOf(from: From, shape: StepShape, path: Path, expect: Expectation | null): Made | null {
  const transition = shape.submit ?? '';
  const as = principalOf(from, shape.as, [...path, 'as']);
  // A name that the flow does not know is misspelt, unless it is what the case is about.
  const code = expect?.shape.code;
  if (code !== 'UNKNOWN_TRANSITION' && code !== 'BLOCKED')
    checkTransition(from, transition, [...path, 'submit']);
  if (as === null) return null;
  const args: JsonObject = shape.with ?? {};
  const expectedVersion = shape.expectedVersion ?? null;
  return {
    act: { kind: 'submit', transition, as, arguments: args, expectedVersion },
    title: `submit \`${transition}\` as \`${shape.as ?? ''}\``,
  };
}

function decideOf(from: From, shape: StepShape, verb: 'approve' | 'deny', path: Path): Made | null {
  const as = principalOf(from, shape[verb], [...path, verb]);
  checkTransition(from, shape.approval, [...path, 'approval']);
  if (as === null) return null;
  const { approval = null, digest = null, reason } = shape;
  const reasonGiven = reason !== undefined && !isBlank(reason);
  return {
    act: { kind: 'decide', decision: verb, as, approval, digest, reasonGiven },
    title: `${verb} by \`${shape[verb] ?? ''}\``,
  };
}

function transitionNames({ plan }: CompiledFlow): ReadonlyMap<string, string> {
  return new Map(plan.states.flatMap((state) => state.transitions.map((each) => [each.name, each.name])));
}

function checkTransition({ reading, flow }: From, name: string | undefined, path: Path): void {
  if (name !== undefined) findNamed(reading, 'transition', name, transitionNames(flow), path);
}

function readExpect(from: From, written: ExpectationShape | undefined, path: Path): Expectation | null {
  if (written === undefined) return null;
  const { reading, flow } = from;
  const shape = expectationOf(written);
  const states = new Map(flow.plan.states.map((state) => [state.name, state]));
  if (shape.state !== undefined) findNamed(reading, 'state', shape.state, states, [...path, 'state']);
  checkContextKeys(reading, shape.context, flow.plan, [...path, 'context']);
  for (const [name, rels] of Object.entries(shape.links ?? {})) {
    findNamed(reading, 'principal', name, reading.principals, [...path, 'links', name]);
    for (const [index, rel] of rels.entries()) checkTransition(from, rel, [...path, 'links', name, index]);
  }
  for (const [index, name] of (shape.chain ?? []).entries())
    checkTransition(from, name, [...path, 'chain', index]);
  if (typeof written !== 'string' && Object.keys(written).length === 0)
    complain(reading, 'REQUIRED', path, 'this expects nothing: name at least one thing');
  return { shape, path, oneWord: typeof written === 'string' };
}
