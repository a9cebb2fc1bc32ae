import { jsonTrouble } from '../../model/values/json.js';
import type { Message } from '../../model/message.js';
import type { Plan } from '../plan.js';
import type { RunState, StuckOn } from '../state.js';
import { actorOf, answer, record, type Draft } from './draft.js';
import { close } from './ending/closing.js';
import { enter } from './flow.js';

// How a run begins: its start is put on record, its input is checked, and its first state is entered.

type Start = Extract<Message['body'], { kind: 'start' }>;
type Unstarted = Extract<StuckOn, { kind: 'start' }>;

/** The run before its first event; null: the message is no start. */
export function initialRun(plan: Plan, planHash: string, message: Message): RunState | null {
  const { body } = message;
  if (body.kind !== 'start') return null;
  return {
    v: 1,
    run: message.run,
    environment: body.environment,
    mode: body.mode,
    traceId: body.traceId,
    planHash,
    startedBy: { id: message.principal.id, kind: message.principal.kind },
    input: body.input,
    status: 'running',
    state: plan.initialState,
    version: 0,
    stay: 1,
    context: plan.initialContext,
    evidence: [],
    approvals: [],
    successes: [],
    denials: [],
    executing: null,
    problem: null,
    stuckOn: null,
    chainDepth: 0,
    chain: [],
    cancelRequested: null,
    deadline: null,
    timeoutDue: false,
    viaTimeout: false,
    waitingAnswer: null,
  };
}

/** Begins the run that `initialRun` has made: records the start, and enters the initial state. */
export function start(draft: Draft, message: Message, body: Start): void {
  answer(draft, message.id, { status: 'accepted' });
  beginRun(draft, unstarted(message, body));
}

/** What is kept of a start whose step could not be taken, so that a retry can put it on record. */
export function unstarted({ id, principal, refs }: Message, { flowVersion }: Start): Unstarted {
  return { kind: 'start', message: id, by: actorOf(principal), refs, flowVersion };
}

export function beginRun(draft: Draft, { message, by, refs, flowVersion }: Unstarted): void {
  const { run, plan } = draft;
  record(draft, 'run.started', {
    actor: by,
    permission: 'run.start',
    causation: message,
    refs,
    data: { flow: plan.name, flowVersion, mode: run.mode, state: run.state },
  });
  // Input and initial context are checked here, outputs and arguments as they come: all that a context is made of can be kept.
  const trouble = jsonTrouble(run.input) ?? jsonTrouble(run.context);
  if (trouble !== null) {
    run.input = {};
    run.context = {};
    return close(draft, 'failed', null, {
      code: 'START_REFUSED',
      message: `the input or the initial context cannot be kept: ${trouble}`,
    });
  }
  const checked = plan.inputSchema === null ? null : draft.kit.validate(plan.inputSchema, run.input);
  if (checked?.status === 'invalid' || (checked === null && Object.keys(run.input).length > 0)) {
    return close(draft, 'failed', null, {
      code: 'START_REFUSED',
      message: 'the input does not fit the input schema',
    });
  }
  if (checked?.status === 'valid') run.input = checked.value;
  if (plan.timeoutMs !== null) run.deadline = Date.parse(draft.time) + plan.timeoutMs;
  enter(draft);
}
