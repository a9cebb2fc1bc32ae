import type { Plan } from '../engine/plan.js';
import { decide, initialRun } from '../engine/index.js';
import { waitingGates } from '../engine/gates/standing.js';
import type { Answer, ApprovalState, Event, Evidence, Kit, Outcome, RunState } from '../engine/state.js';
import { isOpen } from '../model/approval-status.js';
import type { Json, JsonObject } from '../model/values/json.js';
import type { Message, MessageBody } from '../model/message.js';
import type { PolicySet } from '../model/policy-set.js';
import type { Principal } from '../model/principal.js';
import type { Fact } from '../model/records.js';
import type { CompiledFlow } from '../policy/index.js';
import type { AnswerShape } from '../policy/shape/tests.js';
import { writtenHeaders } from '../executors/connections/address.js';
import { isRead } from '../executors/effects.js';
import { requireKind } from '../executors/find-kind.js';
import { canBeMade, previewCalls, whyTooLarge } from '../executors/preview.js';
import { makeKit, onPaper, showOnPaper } from '../schema/kit.js';

// A run on paper: the engine decides as in the service, and nothing is executed. The clock and the ids are made up, so that the
// same steps always give the same run.

export interface Play {
  readonly plan: Plan;
  readonly kit: Kit;
  readonly run: RunState;
  /** Epoch milliseconds of the last event. */
  readonly now: number;
  readonly count: number;
  /** What executors answer at once, by transition or `onEnter:<state>`; for the answers of others the run waits. */
  readonly answers: ReadonlyMap<string, AnswerShape>;
}

export interface Setup {
  readonly flow: CompiledFlow;
  readonly policySet: PolicySet;
  readonly input: JsonObject;
  readonly startedBy: Principal;
  readonly answers: ReadonlyMap<string, AnswerShape>;
}

/** Where a run stands that has not walked there. */
export interface Place {
  readonly state: string;
  readonly context: JsonObject;
  readonly recorded: readonly { readonly kind: string; readonly by: string | null }[];
}

/** What a step did. */
export interface Happened {
  readonly play: Play;
  readonly before: RunState;
  /** The answer to whoever asked or waited; null: nobody has been answered yet. */
  readonly answer: Answer | null;
  readonly facts: readonly Fact[];
}

/** A step that cannot be done at all: nothing executes, no approval is open. */
export interface Impossible {
  readonly status: 'impossible';
  readonly message: string;
}

export type Act =
  | {
      readonly kind: 'submit';
      readonly transition: string;
      readonly as: Principal;
      readonly arguments: JsonObject;
      readonly expectedVersion: number | null;
    }
  | {
      readonly kind: 'decide';
      readonly decision: 'approve' | 'deny';
      readonly as: Principal;
      /** The transition of the approval; null: of the only approval that is open. */
      readonly approval: string | null;
      readonly digest: string | null;
      readonly reasonGiven: boolean;
    }
  | { readonly kind: 'answer'; readonly answer: AnswerShape }
  | { readonly kind: 'passes'; readonly what: 'deadline' | 'timeout'; readonly approval: string | null }
  | { readonly kind: 'cancel' | 'retry'; readonly as: Principal }
  | { readonly kind: 'look' };

const nobodysFlow = { author: null, promoter: null };

/** On paper nobody is shown anything. Whether anybody could be asked is found as in the service. */
function showIn({ policySet, flow }: Setup): Kit['show'] {
  return (transition, asking) => {
    const sentWith = (name: string) => writtenHeaders(policySet, name, flow.environment);
    const { refused } = previewCalls(transition, asking, sentWith);
    return { ...showOnPaper(transition, asking), ...(refused === undefined ? {} : { refused }) };
  };
}

const firstMoment = Date.parse('2026-01-01T00:00:00.000Z');
/** Events of one step. A flow whose executors answer without end is stopped here; chains are bounded by the engine. */
const maxAnswers = 1_000;

/** The run after its start: its state entered, its chain walked, as far as answers are known. */
export function beginRun(setup: Setup): Happened {
  const play = prepareRun(setup);
  return follow(play, startMessage(play, setup));
}

/** A run that stands in a state to which it has not walked. */
export function placeRun(setup: Setup, { state, context, recorded }: Place): Play {
  const play = prepareRun(setup);
  const at = new Date(play.now).toISOString();
  const evidence = recorded.map(({ kind, by }, index): Evidence => ({
    id: `evd_${index}`,
    kind,
    at,
    stay: 1,
    state,
    by,
  }));
  const deadline = setup.flow.plan.timeoutMs === null ? null : play.now + setup.flow.plan.timeoutMs;
  return {
    ...play,
    run: {
      ...play.run,
      state,
      evidence,
      approvers: recorded.flatMap(({ kind, by }) => (kind === 'human_request' && by !== null ? [by] : [])),
      deadline,
      context: Object.fromEntries([...Object.entries(play.run.context), ...Object.entries(context)]),
    },
  };
}

function prepareRun(setup: Setup): Play {
  const { plan } = setup.flow;
  const kit = makeKit(setup.policySet, setup.flow.environment, nobodysFlow, {
    ...onPaper,
    isRead,
    ...{ whyTooLarge, canBeMade },
    show: showIn(setup),
  });
  const empty = { plan, kit, now: firstMoment, count: 0, answers: setup.answers };
  const planHash = kit.digest(plan as unknown as Json);
  const message = startMessage(empty, setup);
  const run = initialRun(plan, planHash, message);
  if (run === null) throw new Error('a start message makes a run');
  return { ...empty, run };
}

function startMessage(play: Pick<Play, 'now' | 'count' | 'kit' | 'plan'>, setup: Setup): Message {
  return message(play, setup.startedBy, {
    kind: 'start',
    flow: setup.flow.name,
    flowVersion: 1,
    planHash: play.kit.digest(play.plan as unknown as Json),
    environment: setup.flow.environment,
    mode: 'live',
    traceId: 'trc_paper',
    input: setup.input,
  });
}

function message(play: Pick<Play, 'now' | 'count'>, principal: Principal, body: MessageBody): Message {
  const id = `msg_${String(play.count + 1).padStart(32, '0')}`;
  const time = new Date(play.now).toISOString();
  return { v: 1, id, run: 'run_paper', time, principal, body, refs: [] };
}

export function act(play: Play, what: Act): Happened | Impossible {
  switch (what.kind) {
    case 'look':
      return { play, before: play.run, answer: null, facts: [] };
    case 'submit': {
      const { transition, arguments: args, expectedVersion } = what;
      return follow(
        play,
        message(play, what.as, { kind: 'submit', transition, arguments: args, expectedVersion }),
      );
    }
    case 'decide':
      return decideOpen(play, what);
    case 'cancel':
    case 'retry':
      return follow(play, message(play, what.as, { kind: what.kind }));
    case 'answer':
      return answerExecuting(play, what.answer);
    case 'passes':
      return what.what === 'timeout' ? timeoutPasses(play) : deadlinePasses(play, what.approval);
  }
}

function impossible(text: string): Impossible {
  return { status: 'impossible', message: text };
}

/** The approval that a step means: of the transition that it names, the open one, else the last. A text: why there is none, or several. */
function findApproval(play: Play, transition: string | null): ApprovalState | string {
  const all = play.run.approvals.filter(
    (approval) =>
      transition === null || approval.action.transition === transition || approval.action.tool === transition,
  );
  const open = all.filter(({ status }) => isOpen(status));
  const ofIt = transition === null ? '' : ` of \`${transition}\``;
  if (open.length > 1)
    return `${open.length} approvals${ofIt} are open (${open.map((approval) => `\`${approval.action.transition}\``).join(', ')}): name one with \`approval\``;
  return open[0] ?? all.at(-1) ?? `no approval${ofIt} was opened`;
}

function decideOpen(play: Play, what: Extract<Act, { kind: 'decide' }>): Happened | Impossible {
  const approval = findApproval(play, what.approval);
  if (typeof approval === 'string') return impossible(approval);
  return follow(
    play,
    message(play, what.as, {
      kind: 'decide',
      approval: approval.id,
      decision: what.decision,
      digest: what.digest ?? approval.action.digest,
      reasonGiven: what.reasonGiven,
      via: 'rest',
    }),
  );
}

function deadlinePasses(play: Play, transition: string | null): Happened | Impossible {
  const approval = findApproval(play, transition);
  if (typeof approval === 'string') return impossible(approval);
  // By a deadline a case means the next end of a stage; reminders do not count.
  const stages = waitingGates(approval, play.kit).map((gate) => gate.expiresAt);
  const at = Math.min(approval.expiresAt, ...stages);
  const now = Math.max(play.now, at);
  return walk(
    { ...play, now },
    { kind: 'deadline', time: new Date(now).toISOString(), approval: approval.id },
    null,
  );
}

function timeoutPasses(play: Play): Happened | Impossible {
  const { deadline } = play.run;
  if (deadline === null) return impossible(`\`${play.plan.name}\` has no \`timeout\`, or it has passed`);
  const now = Math.max(play.now, deadline);
  return walk({ ...play, now }, { kind: 'timeout', time: new Date(now).toISOString() }, null);
}

function answerExecuting(play: Play, answer: AnswerShape): Happened | Impossible {
  const { executing } = play.run;
  if (executing === null) return impossible(`nothing is executing: the run is ${play.run.status}`);
  return walk(play, outcomeOf(play, executing.action.id, answer), null);
}

function follow(play: Play, sent: Message): Happened {
  return walk(play, { kind: 'message', time: sent.time, message: sent }, sent.id);
}

/** Takes an event, and then the outcomes that are known beforehand, until the run waits for something else. */
function walk(from: Play, first: Event, messageId: string | null): Happened {
  const facts: Fact[] = [];
  let play = from;
  let own: Answer | null = null;
  let other: Answer | null = null;
  let event: Event | null = first;
  for (let left = maxAnswers; event !== null && left > 0; left -= 1) {
    const result = decide(play.plan, play.run, event, play.kit, `p${play.count + 1}`);
    facts.push(...result.trace);
    for (const effect of result.effects) {
      if (effect.kind !== 'answer') continue;
      if (effect.messageId === messageId) own = effect.answer;
      else other = effect.answer;
    }
    play = { ...play, run: result.state, now: play.now + 1_000, count: play.count + 1 };
    event = knownOutcome(play);
  }
  return { play, before: from.run, answer: own ?? other, facts };
}

/** The outcome of what executes, where it is known beforehand: from the case, or written in the plan. Null: nothing executes, or it is not known. */
function knownOutcome(play: Play): Event | null {
  const { executing } = play.run;
  if (executing === null) return null;
  const { action, executor } = executing;
  const named = play.answers.get(action.transition);
  if (named !== undefined) return outcomeOf(play, action.id, named);
  return 'output' in executor ? outcomeOf(play, action.id, { output: executor.output, evidence: [] }) : null;
}

function outcomeOf(play: Play, action: string, answer: AnswerShape): Event {
  return { kind: 'outcome', time: new Date(play.now).toISOString(), action, result: resultOf(play, answer) };
}

function resultOf({ run }: Play, answer: AnswerShape): Outcome {
  if ('failed' in answer) {
    const text = answer.message ?? `the executor failed: ${answer.failed}`;
    return answer.failed === 'unknown_outcome'
      ? { status: 'unknown', message: text, attempt: 1 }
      : { status: 'failed', errorClass: answer.failed, message: text, attempt: 1 };
  }
  const executor = run.executing?.executor;
  const kind = executor === undefined ? null : requireKind(executor.kind);
  const usual = kind?.response?.(answer.output) ?? answer.output;
  const own = kind?.evidence ?? null;
  const evidence = answer.evidence ?? (own === null ? [] : [own]);
  return {
    status: 'succeeded',
    output: answer.output,
    response: answer.response ?? usual,
    evidence,
    attempt: 1,
    outputRef: null,
  };
}
