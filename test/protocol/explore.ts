import { createHash } from 'node:crypto';
import { closedStatuses } from '../../src/engine/state.js';
import {
  eventKinds,
  firstWorld,
  standingFaults,
  type EventKind,
  type Protocol,
  type World,
} from './world.js';
import { moves } from './moves.js';

// Breadth first over every order of so many events, each write and each crash between two writes a move of its own.
// States are known again by the hash of their canonical form.

export interface Step {
  readonly event: EventKind | null;
  readonly label: string;
}

export interface Fault {
  readonly what: string;
  /** The shortest way there by events. */
  readonly trace: readonly Step[];
}

export interface Walk {
  readonly states: number;
  readonly moves: number;
  /** New states by the number of events that reach them. */
  readonly byDepth: readonly number[];
  readonly events: Readonly<Record<EventKind, number>>;
  readonly faults: readonly Fault[];
  readonly worlds: readonly World[];
  traceTo(state: number): readonly Step[];
}

interface Known {
  readonly world: World;
  readonly parent: number;
  readonly by: Step | null;
  /** Events on the way; over the limit: only the ways to an end are walked. */
  readonly depth: number;
}

interface Edge {
  readonly from: number;
  readonly to: number;
  /** Nobody does anything: the run goes on by itself, or time passes. */
  readonly idle: boolean;
}

const ending: readonly (EventKind | null)[] = [null, 'cancel', 'deadline', 'escalate'];
const idle: readonly (EventKind | null)[] = [null, 'deadline', 'escalate'];

export function explore(protocol: Protocol, limit: number, enough = Infinity): Walk {
  const known: Known[] = [];
  const ids = new Map<string, number>();
  const edges: Edge[] = [];
  const faults: Fault[] = [];
  const events = Object.fromEntries(eventKinds.map((one) => [one, 0])) as Record<EventKind, number>;
  const levels: number[][] = [[]];
  const traceTo = (state: number): Step[] => {
    const trace: Step[] = [];
    for (let one = known[state]; one !== undefined && one.by !== null; one = known[one.parent])
      trace.push(one.by);
    return trace.reverse();
  };
  const find = (world: World, parent: number, by: Step | null, depth: number): number => {
    const hash = createHash('sha1').update(JSON.stringify(world)).digest('base64');
    const id = ids.get(hash);
    if (id !== undefined) return id;
    const fresh = known.push({ world, parent, by, depth }) - 1;
    ids.set(hash, fresh);
    (levels[depth] ??= []).push(fresh);
    for (const what of standingFaults(world)) faults.push({ what, trace: traceTo(fresh) });
    return fresh;
  };
  find(firstWorld(protocol), -1, null, 0);
  for (let depth = 0; depth < levels.length && faults.length < enough; depth += 1) {
    const level = levels[depth] ?? [];
    // It grows by the progress moves, which cost no event.
    for (let at = 0; at < level.length; at += 1) {
      const from = level[at] ?? 0;
      const { world } = known[from] ?? { world: firstWorld(protocol) };
      for (const { event, label, to, faults: found } of moves(protocol, world)) {
        if (depth >= limit && !ending.includes(event)) continue;
        const next = find(to, from, { event, label }, depth + (event === null ? 0 : 1));
        edges.push({ from, to: next, idle: idle.includes(event) });
        if (event !== null && depth < limit) events[event] += 1;
        for (const what of found) faults.push({ what, trace: [...traceTo(from), { event, label }] });
      }
    }
  }
  const within = (state: number): boolean => (known[state]?.depth ?? limit + 1) <= limit;
  if (faults.length < enough) faults.push(...endless(protocol, known, edges, traceTo));
  const counted = known.filter((_, at) => within(at)).length;
  return {
    ...{ states: counted, moves: edges.length, events, traceTo },
    byDepth: levels.slice(0, limit + 1).map((level) => level.length),
    faults: faults.sort((a, b) => count(a.trace) - count(b.trace) || a.trace.length - b.trace.length),
    worlds: known.slice(0).map((one) => one.world),
  };
}

const count = (trace: readonly Step[]): number => trace.filter((one) => one.event !== null).length;

/** From every state some continuation ends the run; and with nobody doing anything, time alone settles its gates. */
function* endless(
  { rulings }: Protocol,
  known: readonly Known[],
  edges: readonly Edge[],
  traceTo: (state: number) => Step[],
): Generator<Fault> {
  const ended = (world: World): boolean => closedStatuses.includes(rulings.state(world.store).status);
  const settled = (world: World): boolean =>
    rulings.state(world.store).approvals.every(({ status }) => status !== 'open' && status !== 'escalated');
  const answered = (world: World): boolean =>
    world.messages.every(({ at }) => at === 'answered' || at === 'withdrawn');
  const alone = edges.filter((one) => one.idle);
  const kinds = [
    { what: 'nothing ends the run any more', goal: ended, along: edges },
    { what: 'time alone does not settle the gate', goal: settled, along: alone },
    { what: 'a message is never answered', goal: answered, along: alone },
    { what: 'the workflow of a run never ends', goal: ({ closed }: World) => closed, along: edges },
  ];
  for (const { what, goal, along } of kinds) {
    const reaches = backwards(known, goal, along);
    const first = known.findIndex((_, at) => reaches[at] !== 1);
    if (first >= 0) yield { what, trace: traceTo(first) };
  }
}

function backwards(
  known: readonly Known[],
  goal: (world: World) => boolean,
  along: readonly Edge[],
): Uint8Array {
  const into = new Map<number, number[]>();
  for (const { from, to } of along) {
    const list = into.get(to);
    if (list === undefined) into.set(to, [from]);
    else list.push(from);
  }
  const reached = new Uint8Array(known.length);
  const left: number[] = [];
  const reach = (state: number): void => {
    if (reached[state] === 1) return;
    reached[state] = 1;
    left.push(state);
  };
  for (const [at, { world }] of known.entries()) if (goal(world)) reach(at);
  for (let next = left.pop(); next !== undefined; next = left.pop())
    for (const from of into.get(next) ?? []) reach(from);
  return reached;
}

export function showTrace({ what, trace }: Fault): string {
  const lines = trace.map(({ event, label }) => `  ${event === null ? '      ' : 'event '}${label}`);
  return `${what}\n${lines.join('\n')}`;
}
