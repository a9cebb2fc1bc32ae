import type { Gate, GateTimeout } from './plan.js';

/** Strictest of both: every rule of either applies. */
export function strictest(a: Gate, b: Gate): Gate {
  const { roles, each } = bothRoles(a, b);
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

type Slot = Gate['quorum']['perRole'][number];

/** Roles that satisfy both gates. Where none does, each gate's own people, as many as it asks for. */
function bothRoles(a: Gate, b: Gate): { readonly roles: readonly string[]; readonly each: readonly Slot[] } {
  if (a.roles.length === 0 || b.roles.length === 0) return { roles: [...a.roles, ...b.roles], each: [] };
  const shared = a.roles.filter((role) => b.roles.includes(role));
  if (shared.length === 0)
    return {
      roles: [...a.roles, ...b.roles],
      each: [...slotsOf(a.roles, a.quorum.count), ...slotsOf(b.roles, b.quorum.count)],
    };
  // Who fills a slot of the one may hold no role of the other: it counts for its slot, and for nothing else.
  const others = [...a.quorum.perRole, ...b.quorum.perRole].map(({ role }) => role);
  const beside = [...new Set(others)].filter((role) => !shared.includes(role));
  if (beside.length === 0) return { roles: shared, each: [] };
  const count = Math.max(a.quorum.count, b.quorum.count);
  return { roles: [...shared, ...beside], each: slotsOf(shared, count) };
}

/** So many people with these roles, one of each role at least. */
function slotsOf(roles: readonly string[], count: number): Slot[] {
  return roles.map((role, index) => ({
    role,
    count: index === 0 ? Math.max(1, count - roles.length + 1) : 1,
  }));
}

function bothSlots(a: Gate, b: Gate, each: readonly Slot[]): Gate['quorum']['perRole'] {
  const all = [...a.quorum.perRole, ...b.quorum.perRole, ...each];
  return [...new Set(all.map((one) => one.role))].map((role) => ({
    role,
    count: Math.max(...all.filter((one) => one.role === role).map((one) => one.count)),
  }));
}

/** Of both times what leaves less of it, and of both endings what leaves less to time. */
function stricterTimeout(a: GateTimeout | null, b: GateTimeout | null): GateTimeout | null {
  if (a === null || b === null) return a ?? b;
  const rank = { deny: 0, escalate: 1, approve: 2 } as const;
  if (rank[a.action] !== rank[b.action]) return rank[a.action] < rank[b.action] ? a : b;
  const { hours, ...sooner } = a.afterMs <= b.afterMs ? a : b;
  const atMs = Math.min(a.atMs ?? Infinity, b.atMs ?? Infinity);
  return {
    ...sooner,
    ...(Number.isFinite(atMs) ? { atMs } : {}),
    // Where one counts all hours, so do both: with hours of its own the other could end later.
    ...(hours !== undefined && a.hours === b.hours ? { hours } : {}),
  };
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
