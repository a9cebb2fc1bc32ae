import { setTimeout as delay } from 'node:timers/promises';
import type {
  ActionJson,
  ApprovalJson,
  DecidedJson,
  DecisionJson,
  RunBodyJson,
  RunJson,
} from '../model/contract/answer-types.js';
import { isOpen, unreadableText } from '../model/approval-status.js';
import type { Shown, Terminal, Values } from './options.js';
import { CliError, type Api, type Received } from './rest.js';
import { list, object, showApproval, text } from './show.js';

// Makes a decision and says what became of it. Everything that is said is read from the service, nothing is assumed.

type ReceivedAction = Received<ActionJson>;
type ReceivedRun = Received<RunJson>;
type ReceivedDecision = Received<DecisionJson>;

type Known = Shown & { readonly json: object };

/** Reads `path`; a function makes the path from the milliseconds for which the service may hold the request. */
type Look = <A>(path: string | ((leftMs: number) => string)) => Promise<Received<A>>;

interface Watch {
  /** Reads, and reads again until there is an answer or `until` has passed. */
  readonly get: Look;
  /** Keeps what is certain by now: it is shown if the service stops answering. */
  readonly know: (sure: Known) => void;
  /** Epoch milliseconds. What has not happened by then is shown as it stands. */
  readonly until: number;
  readonly say: (line: string) => void;
}

/** The pause between two reads, and how long the service may hold a read that waits for a change. */
const betweenLooksMs = 250;
const heldSeconds = 5;
/**
 * Time limits of a read, in addition to how long the service may hold it. The first is short, so that a lost answer leaves time
 * to ask again; later reads may take longer, since the service may be slow.
 */
const firstMs = 4_000;
const laterMs = 10_000;

export async function decide(
  decision: 'approve' | 'deny',
  api: Api,
  [id = '']: readonly string[],
  values: Values,
  terminal: Terminal,
): Promise<Shown> {
  const waitMs = waitOf(values);
  const say = (line: string): void => {
    if (!values.json) terminal.out(line);
  };
  const path = `/v1/approvals/${encodeURIComponent(id)}`;
  const seen = await api.get<ApprovalJson>(path);
  showApproval(seen).forEach(say);
  const { reason } = values;
  const body = await api.post<DecidedJson>(`${path}/decision`, {
    decision,
    digest: seen.digest ?? '',
    ...(reason === undefined ? {} : { reason }),
  });
  const until = Date.now() + waitMs;
  let known: Known = { json: body, lines: [] };
  const watch: Watch = {
    ...{ until, say, get: makeLook(api, until) },
    know: (sure) => void (known = sure),
  };
  try {
    return await follow(watch, decision, body, path);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const unread = `what came of it cannot be read now: ${error.message}`;
    return { ...known, json: { ...known.json, unread }, lines: [...known.lines, unread] };
  }
}

async function follow(
  watch: Watch,
  decision: 'approve' | 'deny',
  body: Received<DecidedJson>,
  path: string,
): Promise<Shown> {
  const approval = 'approval' in body ? body.approval : undefined;
  if (approval !== undefined) return followApproval(watch, decision, object(approval));
  const kept = await waitForRun(watch, object('decision' in body ? body.decision : undefined));
  const sure = { json: { decision: kept }, lines: decisionLines(kept), exitCode: exitOf(kept) };
  if (kept.status !== 'applied') return sure;
  watch.know(sure);
  return followApproval(watch, decision, await watch.get<ApprovalJson>(path));
}

/** A look that throws at once when it is refused, and otherwise (no answer, a passing error) asks again until `until`. */
function makeLook(api: Api, until: number): Look {
  let answeringMs = firstMs;
  return async <A>(path: string | ((leftMs: number) => string)): Promise<Received<A>> => {
    for (;;) {
      try {
        if (typeof path === 'string') return await api.get<A>(path, answeringMs);
        const left = Math.min(Math.max(until - Date.now(), 0), heldSeconds * 1_000);
        return await api.get<A>(path(left), left + answeringMs);
      } catch (error) {
        const mayPass = error instanceof CliError && error.mayPass;
        if (!mayPass || Date.now() >= until) throw error;
      }
      answeringMs = laterMs;
      await delay(betweenLooksMs);
    }
  };
}

const defaultWaitSeconds = 10;

function waitOf({ wait = `${defaultWaitSeconds}` }: Values): number {
  if (!/^\d{1,3}$/.test(wait))
    throw new CliError(`--wait must be whole seconds, 0 to 999, not \`${wait}\``, 2);
  return Number(wait) * 1_000;
}

/** Gives the decision as it stands once the run has answered it, or when the time is up. */
async function waitForRun(
  { get, know, until, say }: Watch,
  kept: ReceivedDecision,
): Promise<ReceivedDecision> {
  const path = `/v1/decisions/${encodeURIComponent(text(kept.id))}`;
  say(`decision ${text(kept.id)} is durable, and not applied yet: waiting for the run`);
  know({ json: { decision: kept }, lines: decisionLines(kept) });
  for (;;) {
    const now = await get<DecisionJson>(path);
    if (now.status !== 'accepted' || Date.now() >= until) return now;
    await delay(betweenLooksMs);
  }
}

async function followApproval(
  watch: Watch,
  decision: 'approve' | 'deny',
  approval: Received<ApprovalJson>,
): Promise<Shown> {
  const status = text(approval.status);
  if (status === 'approved' || status === 'consumed') return followAction(watch, approval);
  const json = { approval };
  if (isOpen(status)) {
    const waits = list(approval.gates).filter((gate) => list(gate.missing).length > 0);
    const lines = waits.map((gate) => `  waits for   ${text(gate.text)} (${text(gate.rule)})`);
    return { json, lines: ['your approval is applied, and the approval waits for others:', ...lines] };
  }
  if (status === 'denied' && decision === 'deny')
    return { json, lines: ['denied and applied: nothing runs of it'] };
  return {
    json,
    lines: [`your decision is applied, and the approval is ${status}: nothing runs of it`],
    exitCode: 1,
  };
}

/** Waits for the approved action, which runs after the decision and may fail, until it has settled or the time is up. */
async function followAction(
  { get, know, until, say }: Watch,
  approval: Received<ApprovalJson>,
): Promise<Shown> {
  const id = text(approval.action);
  let said = '';
  know({ json: { approval }, lines: ['approved and applied', lookAt('action', id)] });
  for (;;) {
    const path = `/v1/actions/${encodeURIComponent(id)}`;
    const action = await get<ActionJson>((leftMs) => `${path}?wait=${Math.ceil(leftMs / 1_000)}`);
    know({
      json: { approval, action },
      lines: [headline(action), actionLine(action), ...(isSettled(action) ? [] : [lookAt('action', id)])],
      exitCode: exitOf(action),
    });
    const run = object((await get<RunBodyJson>(`/v1/runs/${encodeURIComponent(text(action.run))}`)).run);
    const now: Known = {
      json: { approval, action, run },
      lines: [headline(action, run), ...actionLines(action, run)],
      exitCode: exitOf(action, run),
    };
    if (isSettled(action) || run.status === 'stuck' || Date.now() >= until) return now;
    know(now);
    const [line = ''] = actionLines(action, run);
    if (line !== said) say(line);
    said = line;
    await delay(betweenLooksMs);
  }
}

function headline(action: ReceivedAction, run: ReceivedRun = {}): string {
  const status = text(action.status);
  if (status === 'executed') return 'approved and executed';
  if (status === 'unknown') return 'approved, and nobody knows what came of it';
  if (isSettled(action)) return `approved, and then ${status}`;
  return run.status === 'stuck' ? 'approved, and then stuck' : 'approved and applied, still under way';
}

const unsettled: readonly unknown[] = ['pending', 'approved', 'executing'];

function isSettled(action: ReceivedAction): boolean {
  return !unsettled.includes(action.status);
}

/** What the service says about an action and its run, and what is wrong when the run waits for an operator. */
function actionLines(action: ReceivedAction, run: ReceivedRun): string[] {
  const id = text(action.id);
  const problem = object(run.problem);
  return [
    actionLine(action, run),
    `run ${text(run.id)} is ${text(run.status)} in state ${text(run.state)}${
      run.problem === undefined ? '' : `: ${text(problem.code)}: ${text(problem.message)}`
    }${problem.next === undefined ? '' : `; ${text(problem.next)}`}`,
    ...(isSettled(action) || run.status === 'stuck' ? [] : [lookAt('action', id)]),
  ];
}

function actionLine(action: ReceivedAction, run: ReceivedRun = {}): string {
  return `action ${text(action.id)} of ${text(action.transition)}: ${describeAction(action, run)}`;
}

function lookAt(what: 'action' | 'decision', id: string): string {
  return `look with \`npx countersign ${what} ${id}\``;
}

function describeAction(action: ReceivedAction, run: ReceivedRun): string {
  const error = object(action.error);
  const errorClass = text(error.errorClass);
  const why = `${text(error.code)}: ${text(error.message)}${errorClass === '' ? '' : ` (${errorClass})`}`;
  const status = text(action.status);
  const gone = action.unreadable ?? [];
  switch (status) {
    case 'executed':
      return `executed: ${gone.includes('output') ? unreadableText : text(JSON.stringify(action.output ?? null))}`;
    case 'failed':
      return `failed: ${why}`;
    case 'unknown':
      return `its outcome is unknown, so it may have happened: look at the target before anything else. ${why}`;
    case 'denied':
    case 'expired':
    case 'revoked':
      return `${status}, so it does not run: ${gone.includes('reason') ? unreadableText : text(action.reason) || 'no reason is given'}`;
    case 'pending':
      return 'waits for its approval';
    default:
      if (run.status === 'stuck')
        return 'approved and not run yet: its run is stuck, and runs it once an operator retries the run';
      if (action.callLost === true)
        return 'still executing: the worker that made its call has gone silent, so it may have happened; it waits to be called again, or to be taken for unknown';
      if (action.callUnderWay === false && action.nextAttemptAt === undefined)
        return 'still executing, with no call under way: it waits for its turn, or for a worker';
      return action.nextAttemptAt === undefined
        ? `still ${status === 'approved' ? 'approved and not begun' : 'executing'}`
        : `still executing: its next attempt is due at ${text(action.nextAttemptAt)}`;
  }
}

function decisionLines(decision: ReceivedDecision): string[] {
  const by = text(object(decision.by).id);
  const who = `decision ${text(decision.id)} (${text(decision.decision)}, by ${by} at ${text(decision.at)})`;
  switch (decision.status) {
    case 'accepted':
      return [
        `${who} is durable, and not applied yet: its run takes it as soon as a worker of its task queue answers`,
        lookAt('decision', text(decision.id)),
      ];
    case 'applied':
      return [`${who} is applied`];
    default:
      return [
        `${who} was stored, but its run refused it (${text(decision.code) || 'no code given'}): it decided nothing`,
      ];
  }
}

/** The exit code: 1 where what was wanted has certainly not happened, or where nobody knows; 0 while it can still happen. */
function exitOf({ status }: { readonly status?: string | undefined }, run: ReceivedRun = {}): 0 | 1 {
  if (status === 'executed' || status === 'applied') return 0;
  return run.status !== 'stuck' && (status === 'accepted' || unsettled.includes(status)) ? 0 : 1;
}

export async function showAction(api: Api, [id = '']: readonly string[]): Promise<Shown> {
  const action = await api.get<ActionJson>(`/v1/actions/${encodeURIComponent(id)}`);
  const run = object((await api.get<RunBodyJson>(`/v1/runs/${encodeURIComponent(text(action.run))}`)).run);
  return { json: action, lines: actionLines(action, run), exitCode: exitOf(action, run) };
}

export async function showDecision(api: Api, [id = '']: readonly string[]): Promise<Shown> {
  const decision = await api.get<DecisionJson>(`/v1/decisions/${encodeURIComponent(id)}`);
  return { json: decision, lines: decisionLines(decision), exitCode: exitOf(decision) };
}
