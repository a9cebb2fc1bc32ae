import { asksPeople } from '../engine/plan.js';
import { principalKinds, withRolePermissions, type Principal } from '../model/principal.js';
import type { JsonObject } from '../model/values/json.js';
import type { PolicySet } from '../model/policy-set.js';
import type { CompiledFlow } from '../policy/index.js';
import type { PathSegment } from '../policy/text/problems.js';
import { fit } from '../policy/shape/check.js';
import { testsShape, type AnswerShape, type CaseShape, type TestsShape } from '../policy/shape/tests.js';
import type { Source } from '../policy/text/source.js';
import { compileSchema } from '../schema/index.js';
import type { Place } from './play.js';
import { complain, checkContextKeys, findNamed, type CaseReading, type Policies } from './names.js';
import { readSteps } from './steps.js';
import type { Case, CasesRead } from './types.js';

// Reads a case file. Every name in it is looked up, so that a misspelt name does not make a test that passes.

type Path = readonly PathSegment[];

export function readCases(source: Source, policies: Policies): CasesRead {
  const shaped = fit<TestsShape>(source, source.value, testsShape, []);
  if (shaped.status === 'invalid') return { status: 'invalid', problems: shaped.problems };
  const shape = shaped.value;
  const principals = new Map([
    ...plainPrincipals,
    ...principalsOf(shape.principals ?? {}, policies.policySet),
  ]);
  const reading: CaseReading = { source, policies, shape, principals, problems: [] };
  const cases = shape.cases.flatMap((caseShape, index) => readCase(reading, caseShape, ['cases', index]));
  const names = new Set<string>();
  for (const [index, { name }] of shape.cases.entries()) {
    if (names.has(name))
      complain(reading, 'DUPLICATE_NAME', ['cases', index, 'name'], `another case is called \`${name}\` too`);
    names.add(name);
  }
  return reading.problems.length > 0
    ? { status: 'invalid', problems: reading.problems }
    : { status: 'read', cases };
}

/** Principals that every case file has, each without a role or a permission. */
export const plainPrincipals: ReadonlyMap<string, Principal> = new Map(
  principalKinds.map((kind): [string, Principal] => [kind, { id: kind, kind, roles: [], permissions: [] }]),
);

export function principalsOf(
  shape: NonNullable<TestsShape['principals']>,
  policySet: PolicySet,
): ReadonlyMap<string, Principal> {
  return new Map(
    Object.entries(shape).map(([name, principalShape]): [string, Principal] => {
      const { id = name, kind, roles = [], permissions = [], actedBy } = principalShape;
      const principal = withRolePermissions(policySet, { id, kind, roles, permissions });
      return [name, actedBy === undefined ? principal : { ...principal, actedBy }];
    }),
  );
}

function readCase(reading: CaseReading, shape: CaseShape, path: Path): Case[] {
  const flow = flowOf(reading, shape, path);
  if (flow === null) return [];
  const place = placeOf(reading, shape, flow, path);
  const startedBy = starterOf(reading, shape, path);
  const input = inputOf(reading, shape, flow, path, place !== null);
  const answers = answersOf(reading, shape, flow, path);
  const base = {
    source: reading.source,
    flow,
    input,
    startedBy,
    principals: reading.principals,
    answers,
    place,
  };
  return readSteps(reading, shape, flow, path).map((run): Case => ({ ...base, ...run }));
}

function flowOf(reading: CaseReading, shape: CaseShape, path: Path): CompiledFlow | null {
  const flows = new Map(reading.policies.flows.map((flow) => [flow.name, flow]));
  const name = shape.flow ?? reading.shape.flow;
  if (name !== undefined)
    return findNamed(reading, 'flow', name, flows, shape.flow === undefined ? ['flow'] : [...path, 'flow']);
  complain(
    reading,
    'REQUIRED',
    [...path, 'name'],
    'no flow is named: write `flow` here, or at the top of the file for all of its cases',
  );
  return null;
}

function starterOf(reading: CaseReading, shape: CaseShape, path: Path): Principal {
  const own = shape.startedBy !== undefined;
  const name = shape.startedBy ?? reading.shape.startedBy ?? 'system';
  const found = findNamed(
    reading,
    'principal',
    name,
    reading.principals,
    own ? [...path, 'startedBy'] : ['startedBy'],
  );
  return found ?? { id: name, kind: 'system', roles: [], permissions: [] };
}

/** The input of a case. A run that is placed in a state needs an input that its flow accepts; one that is started is refused by its start. */
function inputOf(
  reading: CaseReading,
  shape: CaseShape,
  { plan }: CompiledFlow,
  path: Path,
  placed: boolean,
): JsonObject {
  const given = shape.input ?? (plan.inputSchema === null ? {} : (reading.shape.input ?? {}));
  if (!placed) return given;
  const at: Path =
    shape.input !== undefined
      ? [...path, 'input']
      : reading.shape.input === undefined
        ? [...path, 'state']
        : ['input'];
  const checked = checkInput(plan, given);
  if (checked.status === 'valid') return checked.value;
  complain(reading, 'INPUT_INVALID', at, checked.message);
  return given;
}

export type InputChecked =
  | { readonly status: 'valid'; readonly value: JsonObject }
  | { readonly status: 'invalid'; readonly message: string };

/** The check of the API before a run is started: the input with its defaults, or why the flow does not take it. */
export function checkInput({ name, inputSchema }: CompiledFlow['plan'], given: JsonObject): InputChecked {
  if (inputSchema === null)
    return Object.keys(given).length === 0
      ? { status: 'valid', value: given }
      : { status: 'invalid', message: `\`${name}\` takes no input` };
  const compiled = compileSchema(inputSchema);
  if (compiled.status === 'invalid') return compiled;
  const checked = compiled.validate(given);
  if (checked.status === 'valid') return checked;
  const misfits = checked.errors.map(
    ({ pointer, message }) => `\`input${pointer.replaceAll('/', '.')}\` ${message}`,
  );
  return { status: 'invalid', message: `\`${name}\` does not take this input: ${misfits.join('; ')}` };
}

function placeOf(reading: CaseReading, shape: CaseShape, { plan }: CompiledFlow, path: Path): Place | null {
  if (shape.state === undefined) {
    for (const key of ['context', 'recorded'] as const) {
      if (shape[key] !== undefined)
        complain(
          reading,
          'REQUIRED',
          [...path, key],
          `\`${key}\` is of a run that stands somewhere already: name its \`state\` too`,
        );
    }
    return null;
  }
  const states = new Map(plan.states.map((candidate) => [candidate.name, candidate]));
  const state = findNamed(reading, 'state', shape.state, states, [...path, 'state']);
  if (state === null) return null;
  checkContextKeys(reading, shape.context, plan, [...path, 'context']);
  const recorded = (shape.recorded ?? []).map((entry, index) => {
    if (typeof entry === 'string') return { kind: entry, by: null };
    const by =
      entry.by === undefined
        ? null
        : findNamed(reading, 'principal', entry.by, reading.principals, [...path, 'recorded', index, 'by']);
    return { kind: entry.kind, by: by?.id ?? null };
  });
  return { state: state.name, context: shape.context ?? {}, recorded };
}

function answersOf(
  reading: CaseReading,
  shape: CaseShape,
  { plan }: CompiledFlow,
  path: Path,
): ReadonlyMap<string, AnswerShape> {
  const acting = new Map(
    plan.states.flatMap((state) => [
      ...(state.onEnter === null ? [] : [[`onEnter:${state.name}`, state.name] as const]),
      ...state.transitions
        .filter((each) => each.executor !== null && !asksPeople(each.executor))
        .map((each) => [each.name, each.name] as const),
    ]),
  );
  const merged = new Map<string, AnswerShape>();
  for (const [name, answer] of Object.entries(reading.shape.answers ?? {}))
    if (answer !== null && acting.has(name)) merged.set(name, answer);
  for (const [name, answer] of Object.entries(shape.answers ?? {})) {
    if (findNamed(reading, 'executor', name, acting, [...path, 'answers', name]) === null) continue;
    if (answer === null) merged.delete(name);
    else merged.set(name, answer);
  }
  return merged;
}
