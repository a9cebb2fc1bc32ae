import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeKit } from '../../src/schema/kit.js';
import { answerOf, begin, plan, principal, state, transition } from './build.js';

// A transition with a schema of its own narrows what its tool takes: arguments fit both.

const agent = principal('bot', 'agent');
const environment = { name: 'dev', requireTiers: false, refuseWarnings: false, gateTimeoutMs: 1_000 };
const kit = makeKit(
  { v: 1, baseDirectory: '/', connections: [], environments: [environment], roles: [], queues: [] },
  'dev',
  { author: null, promoter: null },
);
const upTo = (maximum: number) => ({ type: 'object', properties: { x: { type: 'number', maximum } } });

describe('the schema of a tool beside a transition of its own', () => {
  const send = (own: number, tool: number, x: number): string => {
    const fields = { tool: 't', inputSchema: upTo(own), toolSchema: upTo(tool) };
    const walk = begin(plan([state('a', [transition('go', 'b', fields)]), state('b')]), {}, agent, kit);
    const answer = answerOf(walk.submit(agent, 'go', { x }));
    return `${answer?.status ?? ''} ${answer?.code ?? ''} ${(answer as { message?: string }).message ?? ''}`;
  };
  it('is held to, and so is the narrower one', () => {
    assert.match(send(9_000, 100, 5_000), /^refused INPUT_INVALID .* the schema of its tool `t`$/);
    assert.match(send(10, 100, 50), /^refused INPUT_INVALID .* do not fit its schema$/);
    assert.match(send(10, 100, 5), /^executed/);
    assert.match(send(100, 10, 5), /^executed/);
  });
});
