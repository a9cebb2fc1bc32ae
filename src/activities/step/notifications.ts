import { newId } from '../../model/names/ids.js';
import type {
  NotificationEvent,
  NotificationPolicy,
  NotificationRoute,
} from '../../model/contract/notifications.js';
import type { Fact } from '../../model/records.js';
import type { ApprovalState } from '../../engine/state.js';
import type { Tx } from '../../db/index.js';
import { putNotifications, type NewNotification } from '../../store/notifications.js';
import type { Step } from './persist.js';

// Notifications of what a step did: rows that are written in the step's own transaction and delivered later. Nothing waits for them.

/** The records that people are notified of. */
const events: Readonly<Record<string, NotificationEvent>> = {
  'human.approval.requested': 'requested',
  'approval.reminded': 'reminder',
  'approval.escalated': 'escalated',
  'approval.decided': 'decided',
  'approval.expired': 'expired',
  'approval.revoked': 'revoked',
};

export async function projectNotifications(tx: Tx, step: Step): Promise<void> {
  const reported = step.facts.filter((fact) => Object.hasOwn(events, fact.type));
  if (reported.length === 0) return;
  const { notifications } = step.policySet;
  if (notifications === undefined) return;
  await putNotifications(
    tx,
    reported.flatMap((fact) => makeRows(notifications, step, fact)),
  );
}

function makeRows(policy: NotificationPolicy, { row, after }: Step, fact: Fact): NewNotification[] {
  const event = events[fact.type];
  const approval = after.approvals.find(({ id }) => id === fact.approval);
  if (event === undefined || approval === undefined) return [];
  const about = { flow: row.flow, environment: row.environment, event, approval };
  const names = new Set(policy.routes.filter((route) => isRouteFor(route, about)).flatMap(({ to }) => to));
  return policy.channels
    .filter(({ name }) => names.has(name))
    .flatMap((channel) =>
      (channel.kind === 'email' ? channel.to.map(({ address }) => address) : ['']).map((recipient) => ({
        id: newId('ntf'),
        run: row.id,
        approval: approval.id,
        event,
        cause: fact.key,
        channel: channel.name,
        recipient,
      })),
    );
}

interface About {
  readonly flow: string;
  readonly environment: string;
  readonly event: NotificationEvent;
  readonly approval: ApprovalState;
}

function isRouteFor(route: NotificationRoute, { flow, environment, event, approval }: About): boolean {
  return (
    (route.queue === null || approval.gates.some(({ rule }) => rule.queue === route.queue)) &&
    (route.role === null || approval.roles.includes(route.role)) &&
    (route.flow === null || route.flow === flow) &&
    (route.environment === null || route.environment === environment) &&
    (route.events === null || route.events.includes(event))
  );
}
