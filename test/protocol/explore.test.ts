import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { draw, isFull } from '../../testing/samples.js';
import { explore, showTrace } from './explore.js';
import { payment, protocolOf } from './flows.js';
import { seeds } from './seeds.js';
import { eventKinds } from './world.js';

const events = isFull ? 6 : 5;

describe(`the gate's protocol, over every order of up to ${events} events`, () => {
  const walks = [
    { name: 'and the run ends with what it pays', target: 'paid', keyed: true, limit: events, reminders: [] },
    {
      name: 'at a target without idempotency keys',
      target: 'paid',
      keyed: false,
      limit: events - 1,
      reminders: [],
    },
    {
      name: 'where the run goes on after it has paid, or failed to',
      target: 'open',
      keyed: true,
      limit: events - 1,
      reminders: [],
    },
    {
      name: 'with a reminder on the way',
      target: 'paid',
      keyed: true,
      limit: events - 1,
      reminders: [0.5] as number[],
    },
  ] as const;
  for (const { name, target, keyed, limit, reminders } of isFull ? walks : walks.slice(0, 1)) {
    it(`executes once at most, with its quorum, loses no decision, and can always end: ${name}`, (t) => {
      const plan = payment(target, keyed, { reminders });
      const protocol = protocolOf(plan, { keyed, dedupes: keyed, mayFail: target === 'open' });
      const walk = explore(protocol, limit);
      t.diagnostic(
        `${walk.states} states, ${walk.moves} moves, up to ${limit} events; by depth ${walk.byDepth.join(' ')}`,
      );
      assert.equal(walk.faults.map(showTrace)[0], undefined);
      for (const kind of eventKinds) assert.ok(walk.events[kind] > 0, `no ${kind}`);
      assert.ok(walk.worlds.some(({ effects }) => effects.length > 0));
      assert.equal(walk.byDepth.length, limit + 1);
    });
  }
});

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
