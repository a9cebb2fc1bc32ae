import { z } from 'zod';
import { raceFaults, type RaceFault, type RaceVerdict } from './race-judge.js';
import type { RaceRequest, RunRan } from './run-race.js';
import type { WholeRun } from '../whole-run.js';

// Judges a race for a whole run: everybody must have been told what the store, the record and the target say in the end. Pure,
// so that the tests can give it a bad race.

export function judgeRunRace(ran: RunRan, found: WholeRun): RaceVerdict {
  const judge = { repetition: judgeRepetition, crowd: judgeCrowd }[ran.kind.judgedAs];
  const { outcome, ...has } = judge(ran, found);
  const faulty = { ...has, noSingleOutcome: outcome === null, chainBroken: found.chainProblem !== null };
  return {
    outcome,
    faults: raceFaults.filter((fault) => faulty[fault]),
    refused: ran.asked
      .filter(({ told }) => told.reply.status >= 400)
      .map(({ told }) => `${told.reply.status} ${told.reply.code ?? ''}`),
  };
}

type RunFaults = Record<Exclude<RaceFault, 'noSingleOutcome' | 'chainBroken'>, boolean> & {
  readonly outcome: string | null;
};

const isTaken = ({ told }: RaceRequest): boolean => told.reply.status === 200 || told.reply.status === 202;

function countOf({ records }: WholeRun, type: string, decision?: string): number {
  return records.filter(
    (record) => record.type === type && (decision === undefined || record.decision === decision),
  ).length;
}

const countPaid = ({ effects }: WholeRun, vendor: string): number =>
  effects.filter((effect) => effect.vendor === vendor).length;

/** The first call has had its effect, and nobody knows it: the call is repeated at most once, and the run ends. */
function judgeRepetition({ asked }: RunRan, found: WholeRun): RunFaults {
  const { effects, status, problem, approvals } = found;
  const succeeded = countOf(found, 'executor.succeeded');
  const begun = countOf(found, 'executor.started');
  const ended = status === 'completed' || status === 'cancelled';
  const retries = asked.filter((request) => request.act === 'retry');
  const taken = retries.filter(isTaken);
  const sure = retries.filter((retry) => retry.told.reply.status === 200);
  const retried = countOf(found, 'run.retried');
  // Behind a gate each call needs an approval of its own.
  const needed = approvals.length === 0 ? 0 : begun;
  const answered = (request: RaceRequest): boolean =>
    isTaken(request) || refusedAs[request.act].includes(request.told.reply.code ?? '');
  return {
    outcome:
      !ended || found.unanswered > 0 ? null : `${status}, paid ${effects.length === 1 ? 'once' : 'again'}`,
    effectsDisagree: effects.length < 1 || effects.length > 2 || effects.length < begun - 1 || begun > 2,
    recordDisagrees:
      effects.length > begun ||
      succeeded > 1 ||
      countOf(found, `run.${status}`) !== 1 ||
      (status === 'completed' && succeeded !== 1) ||
      // Without a known success the run must say that the effect may have happened.
      (succeeded === 0 && problem !== 'EXECUTOR_UNKNOWN'),
    wrongWinner:
      countOf(found, 'approval.decided', 'approve') !== appliedIn(found).length ||
      appliedIn(found).length < needed,
    wrongDecider: false,
    loserNotTold:
      !asked.every(answered) ||
      retried < countDistinct(sure) ||
      retried > countDistinct(taken) ||
      asked.some((request) => request.act === 'approve' && isToldWrong(request, found)) ||
      asked.some((request) => request.act === 'cancel' && !isTaken(request) && status === 'cancelled'),
  };
}

const refusedAs: Readonly<Record<RaceRequest['act'], readonly string[]>> = {
  retry: ['NOT_STUCK', 'RUN_CLOSED', 'RUN_BUSY', 'STALE_VERSION'],
  cancel: ['RUN_CLOSED'],
  approve: ['ALREADY_DECIDED', 'APPROVAL_REVOKED', 'RUN_CLOSED'],
  submit: ['RUN_BUSY'],
};

/** Requests under the same key count as one. */
function countDistinct(asked: readonly RaceRequest[]): number {
  return new Set(asked.map((request, index) => request.key ?? index)).size;
}

const appliedIn = ({ decisions }: WholeRun): WholeRun['decisions'] =>
  decisions.filter((decision) => decision.status === 'applied');

function isToldWrong({ by, approval, told }: RaceRequest, { decisions }: WholeRun): boolean {
  const own = decisions.filter((decision) => decision.by === by && decision.approval === approval);
  const applied = own.some((decision) => decision.status === 'applied');
  if (told.reply.status === 200) return !applied;
  if (told.reply.status === 202) return !applied && own.every((decision) => decision.code === null);
  return applied;
}

/** Nothing ends the run and nobody denies: each approved payment is executed, and nobody is told that the run has ended. */
function judgeCrowd({ gates, asked }: RunRan, found: WholeRun): RunFaults {
  const { approvals, actions, decisions, status } = found;
  const executed = gates.filter(({ approval }) => {
    const decided = approvals.find(({ id }) => id === approval);
    return decided?.status === 'consumed' && decided.action === 'executed';
  });
  const all =
    executed.length === gates.length &&
    (status === 'waiting' || status === 'running') &&
    found.unanswered === 0;
  const submits = asked.filter((request) => request.act === 'submit');
  const done = actions.filter((action) => action.status === 'executed').length;
  return {
    outcome: all ? 'all executed' : null,
    effectsDisagree:
      gates.some(({ vendor }) => countPaid(found, vendor) !== 1) ||
      submits.some(({ vendor }) => countPaid(found, vendor) > 1) ||
      found.effects.length !== done,
    recordDisagrees:
      countOf(found, 'executor.succeeded') !== done || countOf(found, 'executor.started') !== done,
    wrongWinner:
      decisions.length !== gates.length ||
      appliedIn(found).length !== gates.length ||
      countOf(found, 'approval.decided', 'approve') !== gates.length,
    wrongDecider: false,
    loserNotTold:
      asked.some(
        (request) => request.act === 'approve' && (!isTaken(request) || isToldWrong(request, found)),
      ) || submits.some((submit) => !isSubmitTold(submit, found)),
  };
}

const resultBody = z.object({
  result: z.object({
    status: z.string(),
    poll: z.string().optional(),
    approval: z.object({ id: z.string() }).optional(),
  }),
});

function isSubmitTold({ told, vendor, act }: RaceRequest, found: WholeRun): boolean {
  const made = countPaid(found, vendor);
  if (told.reply.code !== null) return refusedAs[act].includes(told.reply.code) && made === 0;
  const parsed = resultBody.safeParse(told.reply.body);
  if (!parsed.success) return false;
  const { status, poll, approval } = parsed.data.result;
  if (status === 'executed') return made === 1;
  if (status === 'pending')
    return made === 0 && found.approvals.some(({ id, status: is }) => id === approval?.id && is === 'open');
  // The action had not ended when the submit was answered: its own address says how it ended.
  const action = found.actions.find(({ id }) => poll?.endsWith(`/${id}`) === true);
  return status === 'executing' && made === (action?.status === 'executed' ? 1 : 0);
}
