import { decide } from '../../src/engine/index.js';
import { payment, protocolOf } from './flows.js';
import type { Protocol } from './world.js';

// Bugs that nobody made: the engine's answers, or one rule of the protocol, changed from outside.

type Decide = typeof decide;

/** Each approval counts for itself: the engine is told that another person sent it. */
const quorumByRequests: Decide = (plan, run, event, kit, key) => {
  if (event.kind !== 'message' || event.message.body.kind !== 'decide')
    return decide(plan, run, event, kit, key);
  const { message } = event;
  const principal = { ...message.principal, id: `${message.principal.id}/${message.id}` };
  const decision = decide(plan, run, { ...event, message: { ...message, principal } }, kit, key);
  const text = JSON.stringify(decision).replaceAll(principal.id, message.principal.id);
  return JSON.parse(text) as typeof decision;
};

/** What a deadline says has happened, whatever time it is. */
const deadlineBelieved: Decide = (plan, run, event, kit, key) => {
  const approval = event.kind === 'deadline' && run.approvals.find(({ id }) => id === event.approval);
  if (event.kind !== 'deadline' || !approval) return decide(plan, run, event, kit, key);
  const time = new Date(Math.max(Date.parse(event.time), approval.timer)).toISOString();
  return decide(plan, run, { ...event, time }, kit, key);
};

/** A denial is written down, and the gate stays as it was. */
const denialIsNoVeto: Decide = (plan, run, event, kit, key) => {
  const decision = decide(plan, run, event, kit, key);
  if (event.kind !== 'message' || event.message.body.kind !== 'decide') return decision;
  if (event.message.body.decision === 'approve') return decision;
  const approvals = decision.state.approvals.map((one, at) => ({
    ...one,
    status: run.approvals[at]?.status ?? one.status,
    decisions: one.decisions.filter(({ decision: said }) => said === 'approve'),
  }));
  return { ...decision, state: { ...decision.state, approvals } };
};

/** A decision counts whenever it was made. */
const lateCounts: Decide = (plan, run, event, kit, key) => {
  if (event.kind !== 'message') return decide(plan, run, event, kit, key);
  return decide(plan, run, { ...event, message: { ...event.message, time: event.time } }, kit, key);
};

const withEngine = (engine: Decide) => (): Protocol => protocolOf(payment('paid'), {}, engine);
const withRule = (change: Partial<Protocol>) => (): Protocol => protocolOf(payment('paid'), change);

export interface Seed {
  readonly name: string;
  readonly protocol: () => Protocol;
  readonly says: RegExp;
}

export const seeds: readonly Seed[] = [
  {
    name: 'a quorum counted by requests instead of by people',
    protocol: withEngine(quorumByRequests),
    says: /only [AB] has approved it/,
  },
  {
    name: 'a timer that is believed although its moment has not come',
    protocol: () => protocolOf(payment('paid'), {}, deadlineBelieved, true),
    says: /changed by time before it/,
  },
  {
    name: 'a grant that is not consumed',
    protocol: withRule({ consumesGrant: false }),
    says: /its grant is not used up/,
  },
  {
    name: 'a decision that counts although it was made after the last moment',
    protocol: withEngine(lateCounts),
    says: /after the approval's last moment/,
  },
  { name: 'a denial that is no veto', protocol: withEngine(denialIsNoVeto), says: /not in the state: lost/ },
  {
    name: 'a step that is decided again after a crash',
    protocol: withRule({ remembersSteps: false }),
    says: /decided again/,
  },
  {
    name: 'a message that is kept and that no outbox rings for',
    protocol: withRule({ ringsAgain: false }),
    says: /never answered/,
  },
  {
    name: 'a bell that is taken twice',
    protocol: withRule({ takesOnce: false }),
    says: /is taken twice/,
  },
  {
    name: 'an answer that is not in the transaction of its step',
    protocol: withRule({ answersWithStep: false }),
    says: /was taken and is never answered/,
  },
  {
    name: 'a withdrawal that does not lose to a step',
    protocol: withRule({ withdrawsUntaken: false }),
    says: /its caller is told that nothing runs/,
  },
  {
    name: 'a run that ends without taking what it was asked besides',
    protocol: withRule({ sweepsAtClose: false }),
    says: /nobody answers it/,
  },
  {
    name: 'a run that has ended and is asked all the same',
    protocol: withRule({ refusesClosed: false }),
    says: /nobody answers it/,
  },
  {
    name: 'an execution that ended without an outcome and is not taken',
    protocol: withRule({ takesAbandoned: false }),
    says: /nothing ends the run|the workflow of a run never ends/,
  },
  {
    name: 'a kernel that does not go on from an outcome at its own step',
    protocol: withRule({ adopts: false }),
    says: /never ends|nothing ends|never answered/,
  },
  {
    name: 'a continue-as-new that does not arm the timers again',
    protocol: withRule({ rearms: false }),
    says: /time alone does not settle/,
  },
  {
    name: 'a target that does not know idempotency keys, called as one that does',
    protocol: withRule({ dedupes: false }),
    says: /effect twice/,
  },
];
