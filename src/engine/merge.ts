import type { Gate, GateTimeout } from './plan.js';

/** Strictest of both: every rule of either applies. */
export function strictest(a: Gate, b: Gate): Gate {
  const { roles, each } = bothRoles(a.roles, b.roles);
  const reminders = [...new Set([...(a.reminders ?? []), ...(b.reminders ?? [])])].sort((x, y) => x - y);
  const expiresWith = [...(a.expiresWith ?? []), ...(b.expiresWith ?? [])];
  const queues = [...new Set([...queuesOf(a), ...queuesOf(b)])];
  const approvers = a.separation.approvers === true || b.separation.approvers === true;
  return {
    on: null,
    roles,
    queue: a.queue ?? b.queue,
    ...(queues.length > 1 ? { queues } : {}),
    quorum: { count: Math.max(a.quorum.count, b.quorum.count), perRole: bothSlots(a, b, each) },
    separation: {
      requester: a.separation.requester || b.separation.requester,
      author: a.separation.author || b.separation.author,
      promoter: a.separation.promoter || b.separation.promoter,
      ...(approvers ? { approvers } : {}),
    },
    reason: a.reason === 'required' || b.reason === 'required' ? 'required' : 'optional',
    ...(a.direct === 'required' || b.direct === 'required' ? { direct: 'required' as const } : {}),
    timeout: stricterTimeout(a.timeout, b.timeout),
    ...(reminders.length === 0 ? {} : { reminders }),
    ...(expiresWith.length === 0 ? {} : { expiresWith }),
    because: [...a.because, ...b.because],
  };
}

/** Of one place or of several. */
export function queuesOf({ queue, queues }: Pick<Gate, 'queue' | 'queues'>): readonly string[] {
  return queues ?? (queue === null ? [] : [queue]);
}

/** Roles that satisfy both gates. Where none does, one approval of every role that either names. */
function bothRoles(
  a: readonly string[],
  b: readonly string[],
): { readonly roles: readonly string[]; readonly each: readonly string[] } {
  if (a.length === 0 || b.length === 0) return { roles: a.length === 0 ? b : a, each: [] };
  const shared = a.filter((role) => b.includes(role));
  return shared.length > 0 ? { roles: shared, each: [] } : { roles: [...a, ...b], each: [...a, ...b] };
}

function bothSlots(a: Gate, b: Gate, each: readonly string[]): Gate['quorum']['perRole'] {
  const all = [...a.quorum.perRole, ...b.quorum.perRole, ...each.map((role) => ({ role, count: 1 }))];
  return [...new Set(all.map((one) => one.role))].map((role) => ({
    role,
    count: Math.max(...all.filter((one) => one.role === role).map((one) => one.count)),
  }));
}

function stricterTimeout(a: GateTimeout | null, b: GateTimeout | null): GateTimeout | null {
  if (a === null || b === null) return a ?? b;
  const rank = { deny: 0, escalate: 1, approve: 2 } as const;
  if (rank[a.action] !== rank[b.action]) return rank[a.action] < rank[b.action] ? a : b;
  return a.afterMs <= b.afterMs ? a : b;
}

/** The rules that `now` has and `then` has not, by name; none: whoever satisfied `then` satisfies `now`. */
export function stricterThan(now: Gate, then: Gate): string[] {
  const both = strictest(then, now);
  const differs: readonly (readonly [string, unknown, unknown])[] = [
    ['roles', both.roles, then.roles],
    ['quorum', [both.quorum.count, slots(both)], [then.quorum.count, slots(then)]],
    ['separation', separation(both), separation(then)],
    ['reason', both.reason, then.reason],
    ['direct', both.direct, then.direct],
  ];
  return differs.flatMap(([name, a, b]) => (JSON.stringify(a) === JSON.stringify(b) ? [] : [name]));
}

const slots = (gate: Gate): string[] =>
  gate.quorum.perRole.map(({ role, count }) => `${role}:${count}`).sort();
const separation = ({ separation: one }: Gate): boolean[] => [
  one.requester,
  one.author,
  one.promoter,
  one.approvers === true,
];
