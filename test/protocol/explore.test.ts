import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { projectRoot } from '../../testing/paths.js';
import { draw, isFull } from '../../testing/samples.js';
import { events } from './events.js';
import { explore, showTrace } from './explore.js';
import { payment, protocolOf } from './flows.js';
import { seeds } from './seeds.js';
import { eventKinds, type Move, type Protocol, type World } from './world.js';

const mostEvents = isFull ? 6 : 5;
const reliability = readFileSync(join(projectRoot, 'docs', 'reliability.md'), 'utf8');

describe(`the gate's protocol, over every order of up to ${mostEvents} events`, () => {
  const walks = [
    {
      name: 'two of two; the run ends with what it pays',
      target: 'paid',
      keyed: true,
      limit: mostEvents,
      reminders: [],
    },
    {
      name: 'the same at a target without idempotency keys',
      target: 'paid',
      keyed: false,
      limit: mostEvents - 1,
      reminders: [],
    },
    {
      name: 'the run goes on after it has paid, or failed to',
      target: 'open',
      keyed: true,
      limit: mostEvents - 1,
      reminders: [],
    },
    {
      name: "a reminder before each stage's end",
      target: 'paid',
      keyed: true,
      limit: mostEvents - 1,
      reminders: [0.5] as number[],
    },
  ] as const;
  for (const { name, target, keyed, limit, reminders } of isFull ? walks : walks.slice(0, 1)) {
    it(`executes once at most, with its quorum, loses no decision, and can always end: ${name}`, (t) => {
      const plan = payment(target, keyed, { reminders });
      const protocol = protocolOf(plan, { keyed, dedupes: keyed, mayFail: target === 'open' });
      const walk = explore(protocol, limit);
      t.diagnostic(`by depth ${walk.byDepth.join(' ')}`);
      assert.equal(walk.faults.map(showTrace)[0], undefined);
      for (const kind of eventKinds) assert.ok(walk.events[kind] > 0, `no ${kind}`);
      assert.ok(walk.worlds.some(({ effects }) => effects.length > 0));
      assert.equal(walk.byDepth.length, limit + 1);
      // What the server does no more in the model leaves no fault to find.
      assert.deepEqual([...endsOfDeadExecutions(protocol, walk.worlds)], ['lost']);
      const [states, moves] = [walk.states, walk.moves].map((count) => count.toLocaleString('en'));
      const row = `| ${name} | ${limit} | ${states} | ${moves} |`;
      assert.ok(reliability.includes(`\n${row}\n`), `docs/reliability.md has no row ${row}`);
    });
  }
});

/** What the worker's death makes of an execution whose cancel was asked for: the server does not try it again. */
function endsOfDeadExecutions(protocol: Protocol, worlds: readonly World[]): Set<string | undefined> {
  const working = worlds.filter(
    ({ activity }) => activity?.cancelled === true && ['begun', 'performed'].includes(activity.at),
  );
  const crashes = working.flatMap((world) => [...events(protocol, world)].filter(isCrash));
  return new Set(crashes.map(({ to }) => to.activity?.at));
}

const isCrash = ({ event }: Move): boolean => event === 'crash';

describe('the walk sees', () => {
  for (const { name, protocol, says } of draw(seeds, 8)) {
    it(name, (t) => {
      const walk = explore(protocol(), 4, 1);
      const fault = walk.faults.find(({ what }) => says.test(what));
      assert.ok(fault, walk.faults.map(showTrace)[0] ?? 'nothing at all');
      t.diagnostic(`shortest trace: ${showTrace(fault)}`);
    });
  }
});
