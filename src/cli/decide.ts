import { setTimeout as delay } from 'node:timers/promises';
import type {
  ActionJson,
  ApprovalJson,
  DecidedJson,
  DecisionJson,
  RunBodyJson,
  RunJson,
} from '../model/answer-types.js';
import { isOpen } from '../model/approval-status.js';
import type { Shown, Terminal, Values } from './options.js';
import { CliError, type Api, type Told } from './rest.js';
import { list, object, showApproval, text } from './show.js';

// A decision, and what became of it: everything that is said of it is read from the service.

type ToldAction = Told<ActionJson>;
type ToldRun = Told<RunJson>;
type ToldDecision = Told<DecisionJson>;

type Known = Shown & { readonly json: object };

/** `path`, or of the milliseconds for which the service may hold the look. */
type Look = <A>(path: string | ((leftMs: number) => string)) => Promise<Told<A>>;

interface Watch {
  /** Asks again until it is answered, or `until`. */
  readonly get: Look;
  /** Told where the service does not answer any more: what is certain by now. */
  readonly know: (sure: Known) => void;
  /** Epoch milliseconds: what has not happened by then is told as it stands. */
  readonly until: number;
  readonly say: (line: string) => void;
}

/** Between two looks, and how long the service may hold one of them. */
const againMs = 250;
const heldSeconds = 5;
/**
 * Beyond what the service may hold it, how long the first look may take, so that one without an answer leaves time for another;
 * and every further one, since the service may be slow.
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
    ...{ until, say, get: patient(api, until) },
    know: (sure) => void (known = sure),
  };
  try {
    return await followed(watch, decision, body, path);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const unread = `what came of it cannot be read now: ${error.message}`;
    return { ...known, json: { ...known.json, unread }, lines: [...known.lines, unread] };
  }
}

async function followed(
  watch: Watch,
  decision: 'approve' | 'deny',
  body: Told<DecidedJson>,
  path: string,
): Promise<Shown> {
  const approval = 'approval' in body ? body.approval : undefined;
  if (approval !== undefined) return applied(watch, decision, object(approval));
  const kept = await taken(watch, object('decision' in body ? body.decision : undefined));
  const sure = { json: { decision: kept }, lines: decisionLines(kept), exitCode: exitOf(kept) };
  if (kept.status !== 'applied') return sure;
  watch.know(sure);
  return applied(watch, decision, await watch.get<ApprovalJson>(path));
}

/** A refusal stands; anything else may pass: a service that does not answer is asked again for the rest of the time. */
function patient(api: Api, until: number): Look {
  let answeringMs = firstMs;
  return async <A>(path: string | ((leftMs: number) => string)): Promise<Told<A>> => {
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
      await delay(againMs);
    }
  };
}

const defaultWaitSeconds = 10;

function waitOf({ wait = `${defaultWaitSeconds}` }: Values): number {
  if (!/^\d{1,3}$/.test(wait)) throw new CliError(`--wait is whole seconds, 0 to 999, it is \`${wait}\``, 2);
  return Number(wait) * 1_000;
}

/** The decision as it stands when the run has answered it, or when the time is up. */
async function taken({ get, know, until, say }: Watch, kept: ToldDecision): Promise<ToldDecision> {
  const path = `/v1/decisions/${encodeURIComponent(text(kept.id))}`;
  say(`decision ${text(kept.id)} is durable, and not applied yet: waiting for the run`);
  know({ json: { decision: kept }, lines: decisionLines(kept) });
  for (;;) {
    const now = await get<DecisionJson>(path);
    if (now.status !== 'accepted' || Date.now() >= until) return now;
    await delay(againMs);
  }
}

async function applied(
  watch: Watch,
  decision: 'approve' | 'deny',
  approval: Told<ApprovalJson>,
): Promise<Shown> {
  const status = text(approval.status);
  if (status === 'approved' || status === 'consumed') return effect(watch, approval);
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

/** What was approved runs after the decision, and may fail. */
async function effect({ get, know, until, say }: Watch, approval: Told<ApprovalJson>): Promise<Shown> {
  const id = text(approval.action);
  let said = '';
  know({ json: { approval }, lines: ['approved and applied', lookAt('action', id)] });
  for (;;) {
    const path = `/v1/actions/${encodeURIComponent(id)}`;
    const action = await get<ActionJson>((leftMs) => `${path}?wait=${Math.ceil(leftMs / 1_000)}`);
    know({
      json: { approval, action },
      lines: [headline(action), standingLine(action), ...(isSettled(action) ? [] : [lookAt('action', id)])],
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
    await delay(againMs);
  }
}

function headline(action: ToldAction, run: ToldRun = {}): string {
  const status = text(action.status);
  if (status === 'executed') return 'approved and executed';
  if (status === 'unknown') return 'approved, and nobody knows what came of it';
  if (isSettled(action)) return `approved, and then ${status}`;
  return run.status === 'stuck' ? 'approved, and then stuck' : 'approved and applied, and under way still';
}

const unsettled: readonly unknown[] = ['pending', 'approved', 'executing'];

function isSettled(action: ToldAction): boolean {
  return !unsettled.includes(action.status);
}

/** What the service says of an action, and of its run where that waits for an operator. */
function actionLines(action: ToldAction, run: ToldRun): string[] {
  const id = text(action.id);
  const problem = object(run.problem);
  return [
    standingLine(action, run),
    `run ${text(run.id)} is ${text(run.status)} in state ${text(run.state)}${
      run.problem === undefined ? '' : `: ${text(problem.code)}: ${text(problem.message)}`
    }${problem.next === undefined ? '' : `; ${text(problem.next)}`}`,
    ...(isSettled(action) || run.status === 'stuck' ? [] : [lookAt('action', id)]),
  ];
}

function standingLine(action: ToldAction, run: ToldRun = {}): string {
  return `action ${text(action.id)} of ${text(action.transition)}: ${standing(action, run)}`;
}

function lookAt(what: 'action' | 'decision', id: string): string {
  return `look with \`npx countersign ${what} ${id}\``;
}

function standing(action: ToldAction, run: ToldRun): string {
  const error = object(action.error);
  const errorClass = text(error.errorClass);
  const why = `${text(error.code)}: ${text(error.message)}${errorClass === '' ? '' : ` (${errorClass})`}`;
  const status = text(action.status);
  switch (status) {
    case 'executed':
      return `executed: ${text(JSON.stringify(action.output ?? null))}`;
    case 'failed':
      return `failed: ${why}`;
    case 'unknown':
      return `its outcome is unknown, so it may have happened: look at the target before anything else. ${why}`;
    case 'denied':
    case 'expired':
    case 'revoked':
      return `${status}, so it does not run: ${text(action.reason) || 'no reason is given'}`;
    case 'pending':
      return 'waits for its approval';
    default:
      if (run.status === 'stuck')
        return 'approved, and not run yet: its run is stuck, and runs it once an operator has the run go on';
      if (action.callLost === true)
        return 'still executing: the worker of its call is not heard of any more, so it may have happened; it waits to be called again, or to be taken for unknown';
      if (action.callUnderWay === false && action.nextAttemptAt === undefined)
        return 'still executing, without a call under way: it waits for its turn, or for a worker';
      return action.nextAttemptAt === undefined
        ? `still ${status === 'approved' ? 'approved and not begun' : 'executing'}`
        : `still executing: its next attempt is due at ${text(action.nextAttemptAt)}`;
  }
}

function decisionLines(decision: ToldDecision): string[] {
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
        `${who} was kept, and its run has refused it: ${text(decision.code) || 'it says no more'}: nothing was decided by it`,
      ];
  }
}

/** 1 where it is certain that what was wanted has not happened, or where nobody knows. */
function exitOf({ status }: { readonly status?: string | undefined }, run: ToldRun = {}): 0 | 1 {
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
