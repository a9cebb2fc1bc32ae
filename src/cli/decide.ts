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

interface Watch {
  readonly api: Api;
  /** Epoch milliseconds: what has not happened by then is told as it stands. */
  readonly until: number;
  readonly say: (line: string) => void;
}

/** Between two looks, and how long the service may hold one of them. */
const againMs = 250;
const heldSeconds = 5;

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
  const watch: Watch = { api, until: Date.now() + waitMs, say };
  const approval = 'approval' in body ? body.approval : undefined;
  if (approval !== undefined) return applied(watch, decision, object(approval));
  const kept = await taken(watch, object('decision' in body ? body.decision : undefined));
  if (kept.status !== 'applied')
    return { json: { decision: kept }, lines: decisionLines(kept), exitCode: exitOf(kept) };
  return applied(watch, decision, await api.get<ApprovalJson>(path));
}

const defaultWaitSeconds = 10;

function waitOf({ wait = `${defaultWaitSeconds}` }: Values): number {
  if (!/^\d{1,3}$/.test(wait)) throw new CliError(`--wait is whole seconds, 0 to 999, it is \`${wait}\``, 2);
  return Number(wait) * 1_000;
}

/** The decision as it stands when the run has answered it, or when the time is up. */
async function taken({ api, until, say }: Watch, kept: ToldDecision): Promise<ToldDecision> {
  const path = `/v1/decisions/${encodeURIComponent(text(kept.id))}`;
  say(`decision ${text(kept.id)} is durable, and not applied yet: waiting for the run`);
  for (;;) {
    const now = await api.get<DecisionJson>(path);
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
async function effect({ api, until, say }: Watch, approval: Told<ApprovalJson>): Promise<Shown> {
  const id = text(approval.action);
  let said = '';
  for (;;) {
    const left = Math.ceil(Math.min(Math.max(until - Date.now(), 0) / 1_000, heldSeconds));
    const action = await api.get<ActionJson>(`/v1/actions/${encodeURIComponent(id)}?wait=${left}`);
    const run = object((await api.get<RunBodyJson>(`/v1/runs/${encodeURIComponent(text(action.run))}`)).run);
    if (isSettled(action) || run.status === 'stuck' || Date.now() >= until)
      return {
        json: { approval, action, run },
        lines: [headline(action, run), ...actionLines(action, run)],
        exitCode: exitOf(action, run),
      };
    const [now = ''] = actionLines(action, run);
    if (now !== said) say(now);
    said = now;
    await delay(againMs);
  }
}

function headline(action: ToldAction, run: ToldRun): string {
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
    `action ${id} of ${text(action.transition)}: ${standing(action, run)}`,
    `run ${text(run.id)} is ${text(run.status)} in state ${text(run.state)}${
      run.problem === undefined ? '' : `: ${text(problem.code)}: ${text(problem.message)}`
    }${problem.next === undefined ? '' : `; ${text(problem.next)}`}`,
    ...(isSettled(action) || run.status === 'stuck' ? [] : [`look with \`countersign action ${id}\``]),
  ];
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
        `look with \`countersign decision ${text(decision.id)}\``,
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
