import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '../../src/db/index.js';
import {
  decideOn,
  insist,
  park,
  payment,
  type Parked,
  type People,
  type Person,
  type Reply,
  type InsistResult,
} from '../caller.js';
import type { Desk } from '../desk.js';
import { settle } from '../judge.js';

// One race: everybody acts on the same gate at the same moment.

type Act = 'approve' | 'deny' | 'cancel' | 'submit' | 'narrow';

interface Runner {
  readonly by: Person;
  readonly act: Act;
  /** Two runners with one key send the same request, the second before the first is answered. */
  readonly idempotencyKey?: string;
  /** How much later than the others it starts. */
  readonly laterMs?: number;
  /** A reload takes away the role with which this runner decides. */
  readonly losesRole?: true;
}

export interface RaceKind {
  readonly name: string;
  readonly flow: 'one' | 'two' | 'both' | 'desk' | 'desk_two' | 'one_brief' | 'two_brief' | 'escalates_brief';
  /** Distinct approvals that open the gate. */
  readonly quorum: 1 | 2;
  runners(people: People, race: string): readonly Runner[];
}

const approve = (by: Person): Runner => ({ by, act: 'approve' });
const deny = (by: Person): Runner => ({ by, act: 'deny' });
const cancel = ({ operator }: People): Runner => ({ by: operator, act: 'cancel' });
/** People who keep the role decide late, so that the approval ends even if the person who loses the role has not decided it. */
const later = (runner: Runner): Runner => ({ ...runner, laterMs: 1_500 });
const leaving = ({ clerk }: People): Runner => ({ ...approve(clerk), losesRole: true });
const narrow = ({ operator }: People): Runner => ({ by: operator, act: 'narrow' });
const twice = (runner: Runner, idempotencyKey: string): readonly Runner[] => [
  { ...runner, idempotencyKey },
  { ...runner, idempotencyKey },
];

export const raceKinds: readonly RaceKind[] = [
  {
    name: 'three approve, one is enough',
    ...{ flow: 'one', quorum: 1 },
    runners: ({ controllers }) => controllers.map(approve),
  },
  {
    name: 'approve against deny',
    ...{ flow: 'one', quorum: 1 },
    runners: ({ controllers: [a, b] }) => [approve(a), deny(b)],
  },
  {
    name: 'approve against cancel',
    ...{ flow: 'one', quorum: 1 },
    runners: (people) => [approve(people.controllers[0]), cancel(people)],
  },
  {
    name: 'approve against the deadline',
    ...{ flow: 'one_brief', quorum: 1 },
    runners: ({ controllers: [a] }) => [approve(a)],
  },
  {
    name: 'deny against the deadline',
    ...{ flow: 'one_brief', quorum: 1 },
    runners: ({ controllers: [a] }) => [deny(a)],
  },
  {
    name: 'one person twice under one Idempotency-Key, and once more without',
    ...{ flow: 'one', quorum: 1 },
    runners: ({ controllers: [a] }, race) => [...twice(approve(a), race), approve(a)],
  },
  {
    name: 'one person many times where two are needed',
    ...{ flow: 'two_brief', quorum: 2 },
    runners: ({ controllers: [a] }, race) => [...twice(approve(a), race), approve(a), approve(a)],
  },
  {
    name: 'two of two against a denial',
    ...{ flow: 'two', quorum: 2 },
    runners: ({ controllers: [a, b, c] }) => [approve(a), approve(b), deny(c)],
  },
  {
    name: 'two of two against the deadline',
    ...{ flow: 'two_brief', quorum: 2 },
    runners: ({ controllers: [a, b] }) => [approve(a), approve(b)],
  },
  {
    name: 'everybody: approve, approve again, deny, cancel, deadline',
    ...{ flow: 'one_brief', quorum: 1 },
    runners: (people, race) => {
      const [a, b, c] = people.controllers;
      return [...twice(approve(a), race), approve(b), deny(c), cancel(people)];
    },
  },
  {
    name: 'two gates of one approval, each with its people, against a denial',
    ...{ flow: 'both', quorum: 2 },
    runners: ({ controllers: [a, b], cfo }) => [approve(a), approve(cfo), deny(b)],
  },
  {
    name: 'two gates of one approval: many of one gate, one of the other',
    ...{ flow: 'both', quorum: 2 },
    runners: ({ controllers: [a], cfo }, race) => [...twice(approve(a), race), approve(a), approve(cfo)],
  },
  {
    name: 'the time of an escalation, those who were asked, and those whom it adds',
    ...{ flow: 'escalates_brief', quorum: 1 },
    runners: ({ controllers: [a], cfo }) => [approve(cfo), later(approve(cfo)), later(approve(a))],
  },
  {
    name: 'approve what one agent asks for, while another asks for the same',
    ...{ flow: 'one', quorum: 1 },
    runners: ({ controllers: [a], otherAgent }) => [approve(a), { by: otherAgent, act: 'submit' }],
  },
  {
    name: 'approve against a reload that takes the role away',
    ...{ flow: 'desk', quorum: 1 },
    runners: (people) => [leaving(people), narrow(people), later(approve(people.controllers[0]))],
  },
  {
    name: 'two of two against a reload that takes the role of one away',
    ...{ flow: 'desk_two', quorum: 2 },
    runners: (people) => {
      const [a, b] = people.controllers;
      return [leaving(people), approve(a), narrow(people), later(approve(b))];
    },
  },
];

export interface Finisher extends Runner {
  readonly told: InsistResult;
}

export interface Ran {
  readonly kind: RaceKind;
  readonly parked: Parked;
  readonly finishers: readonly Finisher[];
}

/**
 * How far requests are spread around the deadline. Without a deadline, about as far as a request takes, so that anybody may be
 * first.
 */
const spreadMs = { before: 100, after: 140, without: 60 };

export interface GateRaceContext {
  readonly people: People;
  readonly desk: Desk;
  readonly pool: Pool;
}

export async function runGateRace(
  kind: RaceKind,
  context: GateRaceContext,
  random: () => number,
): Promise<Ran> {
  const { desk, pool } = context;
  if (!kind.flow.startsWith('desk')) return race(kind, context, random);
  return desk.runAlone(async () => {
    const ran = await race(kind, context, random);
    // The check before the execution must still see the narrowed policies.
    await settle(pool, [ran.parked.approval], 60_000);
    return ran;
  });
}

async function race(kind: RaceKind, { people, desk }: GateRaceContext, random: () => number): Promise<Ran> {
  const parked = await park(people.agent, kind.flow, 'pay');
  const runners = kind.runners(people, `race-${parked.approval}`);
  const brief = kind.flow.endsWith('_brief');
  const isNarrowed = runners.some(({ act }) => act === 'narrow');
  const finishers = await Promise.all(
    runners.map(async (runner): Promise<Finisher> => {
      const offset = brief ? random() * (spreadMs.before + spreadMs.after) - spreadMs.before : 0;
      const spread = isNarrowed ? spreadOf(runner, desk) : spreadMs.without;
      const wait = brief ? parked.expiresAt + offset - Date.now() : random() * spread;
      await sleep(Math.max(wait, 0) + (runner.laterMs ?? 0));
      const told = await (runner.act === 'narrow' ? desk.narrow() : insist(() => send(runner, parked)));
      if (runner.losesRole === true && told.reply.status === 200)
        desk.pace.decisionMs = told.answeredAt - told.sentAt;
      return { ...runner, told };
    }),
  );
  return { kind, parked, finishers };
}

/**
 * A reload takes effect at its end, and a decision when the run takes it: each waits for a random part of the time that the
 * other takes, so that either may be first.
 */
function spreadOf({ act }: Runner, { pace }: Desk): number {
  return spreadMs.without + (act === 'narrow' ? pace.decisionMs / 2 : pace.reloadMs);
}

async function send({ by, act, idempotencyKey }: Runner, parked: Parked): Promise<Reply> {
  switch (act) {
    case 'cancel':
      return by.post(`/v1/runs/${parked.run}/cancel`, { reason: 'a race' });
    case 'submit':
      return by.post(`/v1/runs/${parked.run}/transitions/pay`, payment);
    case 'narrow':
      throw new Error('a reload is not sent to a gate');
    default:
      return decideOn(by, parked, act, idempotencyKey);
  }
}
