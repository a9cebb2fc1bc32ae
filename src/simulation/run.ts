import type { Happened, Setup } from './play.js';
import { act, beginRun, placeRun } from './play.js';
import type { PolicySet } from '../model/policy-set.js';
import { differences, unexpectedTrouble, type Difference } from './expect.js';
import type { Case, CaseResult, Failure, Mismatch, Step } from './types.js';

/** Plays a case. The same case under the same policies has the same result. */
export function runCase(testCase: Case, policySet: PolicySet): CaseResult {
  const at = testCase.source.locate(testCase.path);
  const failure = firstFailure(testCase, policySet);
  return {
    file: testCase.source.file ?? '',
    ...at,
    name: testCase.name,
    flow: testCase.flow.name,
    status: failure === null ? 'passed' : 'failed',
    failure,
  };
}

/** The failure of the first step that fails; the steps after it say nothing any more. */
function firstFailure(testCase: Case, policySet: PolicySet): Failure | null {
  const setup: Setup = { ...testCase, policySet };
  let last: Happened = beginCase(testCase, setup);
  const started = testCase.place === null ? startFailure(testCase, last) : null;
  if (started !== null) return started;
  for (const step of testCase.steps) {
    const happened = step.act.kind === 'look' ? last : act(last.play, step.act);
    if ('status' in happened) return impossibleFailure(testCase, step, last, happened.message);
    const found = [
      ...(step.expect === null ? [] : differences(step.expect.shape, happened, testCase.principals)),
      ...unexpectedTrouble(happened, step.expect?.shape ?? null),
    ];
    if (found.length > 0) return toFailure(testCase, step, happened, found);
    last = happened;
  }
  return null;
}

function beginCase(testCase: Case, setup: Setup): Happened {
  if (testCase.place === null) return beginRun(setup);
  const play = placeRun(setup, testCase.place);
  return { play, before: play.run, answer: null, facts: [] };
}

/** A run that did not start is the failure, unless the first step looks at it. */
function startFailure(testCase: Case, happened: Happened): Failure | null {
  const [first] = testCase.steps;
  if (first === undefined || first.act.kind === 'look' || happened.play.run.problem === null) return null;
  // A stuck run is where some sequences begin: an operator's retry, a cancel, or a submit that must be refused.
  if (happened.play.run.status === 'stuck') return null;
  const start: Step = { path: testCase.path, title: 'the start', act: { kind: 'look' }, expect: null };
  const actual = happened.play.run.problem.code;
  return toFailure(testCase, start, happened, [{ path: [], expected: 'a run that has started', actual }]);
}

function impossibleFailure(testCase: Case, step: Step, last: Happened, message: string): Failure {
  const nothing: Happened = { ...last, facts: [], answer: null };
  return {
    ...toFailure(testCase, step, nothing, [
      { path: [], expected: 'a step that can be done', actual: message },
    ]),
    why: null,
  };
}

function toFailure(testCase: Case, step: Step, happened: Happened, found: readonly Difference[]): Failure {
  const { run } = happened.play;
  return {
    step: step.title,
    mismatches: found.map((each) => locate(testCase, step, each)),
    why: whyOf(happened),
    run: { state: run.state, status: run.status, version: run.version },
    trace: happened.facts,
  };
}

function locate({ source }: Case, step: Step, { path, expected, actual }: Difference): Mismatch {
  const under = step.expect === null ? step.path : step.expect.path;
  const at = step.expect === null || step.expect.oneWord ? under : [...under, ...path];
  return { ...source.locate(at), what: path.join('.'), expected, actual };
}

function whyOf({ answer, play }: Happened): string | null {
  if (answer?.status === 'refused') {
    const errors = (answer.errors ?? []).map((error) => `${error.pointer} ${error.message}`);
    return [answer.message, ...errors].join('; ');
  }
  return play.run.problem?.message ?? null;
}
