import type { JsonObject } from '../model/values/json.js';
import type { Fact } from '../model/records.js';
import type { Principal } from '../model/principal.js';
import type { Answer, Problem as RunProblem } from '../engine/state.js';
import type { CompiledFlow, Problem } from '../policy/index.js';
import { fit } from '../policy/shape/check.js';
import { stepShape, type StepShape } from '../policy/shape/tests.js';
import { parseText } from '../policy/text/source.js';
import { stepText } from './given.js';
import { outlook, type Outlook } from './outlook.js';
import { act, beginRun, type Happened } from './play.js';
import { complain, type CaseReading, type Policies } from './names.js';
import { checkInput } from './read.js';
import { executingOf, type Executing } from './sends.js';
import { readStep } from './steps.js';
import type { Step } from './types.js';

// Walks a flow on paper, step by step, and tells after each what everybody could do.

export interface Walk {
  readonly flow: CompiledFlow;
  readonly policies: Policies;
  readonly input: JsonObject;
  readonly startedBy: Principal;
  readonly principals: ReadonlyMap<string, Principal>;
  /** The steps as they were typed. */
  readonly steps: readonly string[];
}

/** What a step did, and what could be done next. Plain JSON. */
export interface Stop extends Outlook {
  readonly step: string;
  readonly answer: Answer | null;
  readonly run: {
    readonly state: string;
    readonly status: string;
    readonly version: number;
    readonly context: JsonObject;
    readonly evidence: readonly string[];
    readonly problem: RunProblem | null;
  };
  readonly executing: Executing | null;
  readonly records: readonly Fact[];
}

export type Simulated =
  | { readonly status: 'walked'; readonly stops: readonly Stop[] }
  /** A step cannot be read, or cannot be done in the run as it is; `stops`: those before it. */
  | { readonly status: 'invalid'; readonly stops: readonly Stop[]; readonly message: string };

export function simulate(walk: Walk): Simulated {
  const { flow, policies, startedBy } = walk;
  const checked = checkInput(flow.plan, walk.input);
  if (checked.status === 'invalid') return { status: 'invalid', stops: [], message: checked.message };
  const input = checked.value;
  const started = beginRun({ flow, policySet: policies.policySet, input, startedBy, answers: new Map() });
  const stops = [stopOf(walk, `start as ${startedBy.id}`, started)];
  let play = started.play;
  for (const given of walk.steps) {
    const read = readTyped(walk, given);
    if (Array.isArray(read)) {
      const [first] = read;
      return {
        status: 'invalid',
        stops,
        message: `\`--do ${given}\`: ${first?.message ?? 'cannot be read'}`,
      };
    }
    const happened = act(play, read.act);
    if ('status' in happened)
      return { status: 'invalid', stops, message: `\`--do ${given}\`: ${happened.message}` };
    play = happened.play;
    stops.push(stopOf(walk, read.title, happened));
  }
  return { status: 'walked', stops };
}

function stopOf({ principals }: Walk, step: string, { play, answer, facts }: Happened): Stop {
  const { state, status, version, context, evidence, problem } = play.run;
  return {
    step,
    answer,
    run: { state, status, version, context, evidence: evidence.map((item) => item.kind), problem },
    executing: executingOf(play.run),
    ...outlook(play, principals),
    records: facts,
  };
}

function readTyped(walk: Walk, given: string): Step | Problem[] {
  const parsed = parseText(stepText(given));
  if (parsed.status === 'invalid') return [...parsed.problems];
  const { source } = parsed;
  const shaped = fit<StepShape>(source, source.value, stepShape, []);
  if (shaped.status === 'invalid') return [...shaped.problems];
  const { policies, principals, flow } = walk;
  const reading: CaseReading = { source, policies, shape: { cases: [] }, principals, problems: [] };
  if (shaped.value.expect !== undefined)
    complain(
      reading,
      'UNKNOWN_KEY',
      ['expect'],
      '`expect` belongs into a case file: here it is shown what happens',
    );
  const step = readStep({ reading, flow }, shaped.value, [], '');
  return step === null || reading.problems.length > 0 ? reading.problems : step;
}
