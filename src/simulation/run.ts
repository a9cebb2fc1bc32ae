import type { Happened, Setup } from './play.js';
import { act, begin, place } from './play.js';
import type { PolicySet } from '../model/policy-set.js';
import { differences, withoutExpectation, type Difference } from './expect.js';
import type { Case, CaseResult, Failure, Mismatch, Step } from './types.js';

/** Plays one case. Same case, same policies, same result. */
export function runCase(one: Case, policySet: PolicySet): CaseResult {
  const at = one.source.locate(one.path);
  const failure = firstFailure(one, policySet);
  return {
    file: one.source.file ?? '',
    ...at,
    name: one.name,
    flow: one.flow.name,
    status: failure === null ? 'passed' : 'failed',
    failure,
  };
}

/** Steps after a failed one say nothing any more. */
function firstFailure(one: Case, policySet: PolicySet): Failure | null {
  const setup: Setup = { ...one, policySet };
  let last: Happened = beginning(one, setup);
  const started = one.place === null ? startFailure(one, last) : null;
  if (started !== null) return started;
  for (const step of one.steps) {
    const happened = step.act.kind === 'look' ? last : act(last.play, step.act);
    if ('status' in happened) return impossible(one, step, last, happened.message);
    const found = [
      ...(step.expect === null ? [] : differences(step.expect.shape, happened, one.principals)),
      ...withoutExpectation(happened, step.expect?.shape ?? null),
    ];
    if (found.length > 0) return failed(one, step, happened, found);
    last = happened;
  }
  return null;
}

function beginning(one: Case, setup: Setup): Happened {
  if (one.place === null) return begin(setup);
  const play = place(setup, one.place);
  return { play, before: play.run, answer: null, facts: [] };
}

/** A start that went wrong is the failure, unless the first step looks at it. */
function startFailure(one: Case, happened: Happened): Failure | null {
  const [first] = one.steps;
  if (first === undefined || first.act.kind === 'look' || happened.play.run.problem === null) return null;
  // A stuck run is where some sequences begin: an operator's retry, a cancel, or a submit that must be refused.
  if (happened.play.run.status === 'stuck') return null;
  const start: Step = { path: one.path, title: 'the start', act: { kind: 'look' }, expect: null };
  const actual = happened.play.run.problem.code;
  return failed(one, start, happened, [{ path: [], expected: 'a run that has started', actual }]);
}

function impossible(one: Case, step: Step, last: Happened, message: string): Failure {
  const nothing: Happened = { ...last, facts: [], answer: null };
  return {
    ...failed(one, step, nothing, [{ path: [], expected: 'a step that can be done', actual: message }]),
    why: null,
  };
}

function failed(one: Case, step: Step, happened: Happened, found: readonly Difference[]): Failure {
  const { run } = happened.play;
  return {
    step: step.title,
    mismatches: found.map((each) => located(one, step, each)),
    why: whyOf(happened),
    run: { state: run.state, status: run.status, version: run.version },
    trace: happened.facts,
  };
}

function located({ source }: Case, step: Step, { path, expected, actual }: Difference): Mismatch {
  const under = step.expect === null ? step.path : step.expect.path;
  const at = step.expect === null || step.expect.oneWord ? under : [...under, ...path];
  return { ...source.locate(at), what: path.join('.'), expected, actual };
}

function whyOf({ answer, play }: Happened): string | null {
  if (answer?.status === 'refused') {
    const errors = (answer.errors ?? []).map((one) => `${one.pointer} ${one.message}`);
    return [answer.message, ...errors].join('; ');
  }
  return play.run.problem?.message ?? null;
}
