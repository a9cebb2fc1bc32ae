import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonical, decide } from '../../../src/engine/index.js';
import type { Json, JsonObject } from '../../../src/model/values/json.js';
import type { Transition } from '../../../src/engine/plan.js';
import { expr, gate, literal, path, plan, state, transition } from '../build.js';
import { agent, principal } from '../people.js';
import { answerOf, begin, message, time } from '../walk.js';

// Whatever callers and targets send, results can be written: the store keeps canonical JSON, which takes no lone surrogates.

const controller = principal('fin', 'human', { roles: ['finance.controller'] });
const ok = expr(path('arguments', 'text'), 'starts_with', literal('ok'));
const call: Partial<Transition> = {
  executor: {
    ...{ kind: 'rest', connection: 'c', method: 'POST', path: { kind: 'text', parts: ['/'] } },
    ...{ query: [], headers: [], body: null, idempotencyKey: true },
  },
};
const answered: Partial<Transition> = {
  ...call,
  output: [
    {
      key: 'answer',
      spec: { kind: 'set', value: { ...path('context'), scope: 'output', segments: ['text'] } as never },
    },
  ],
};
const readsAnswer = expr(path('context', 'answer'), 'starts_with', literal('ok'));

const flow = plan([
  state('open', [
    transition('guarded', 'open', { guards: [ok] }),
    transition('gated', 'open', { gate: gate({ on: ok }), ...answered }),
    transition('ask', 'judged', answered),
  ]),
  state('judged', [transition('next', 'open', { actor: 'deterministic', guards: [readsAnswer] })]),
]);

/** Texts that a cut at any length would split, and texts that are split already. */
const text = fc
  .tuple(fc.constantFrom('', 'ok'), fc.nat(210), fc.constantFrom('\u{1f600}', '\ud83d', '\ude00', 'x'))
  .map(([start, length, odd]) => `${start}${'x'.repeat(length)}${odd.repeat(20)}`);
const json: fc.Arbitrary<Json> = fc.oneof(
  text,
  fc.tuple(text, text).map(([name, value]) => ({ [name]: [value] })),
);
const args: fc.Arbitrary<JsonObject> = fc.oneof(
  text.map((value) => ({ text: value })),
  fc.tuple(text, json).map(([name, value]) => ({ [name]: value })),
);
const result = fc.oneof(
  json.map((value) => ({ output: { text: value } })),
  json.map((output) => ({ output, response: output })),
  text.map((said) => ({ status: 'failed', errorClass: 'permanent', message: said })),
  text.map((said) => ({ status: 'unknown', message: said })),
  text.map((kind) => ({ evidence: [kind] })),
);

describe('text that callers and targets send', () => {
  it('is cut between characters in what a guard, a gate and a chain say of it', () => {
    for (const length of [110, 111, 112, 113, 114, 115, 116, 117, 118]) {
      const said = `ok${'x'.repeat(length)}${'\u{1f600}'.repeat(20)}`;
      const walk = begin(flow);
      assert.ok(canonical(walk.submit(agent, 'guarded', { text: said.slice(2) })).isWellFormed());
      assert.equal(answerOf(walk.last)?.code, 'GUARD_REJECTED');
      assert.doesNotMatch(JSON.stringify(walk.last.effects), /\ufffd/);
      walk.submit(agent, 'gated', { text: said });
      assert.equal(answerOf(walk.last)?.status, 'pending');
      assert.doesNotMatch(canonical(walk.run), /\ufffd/);
      walk.submit(agent, 'ask', {});
      walk.outcome({ output: { text: said.slice(2) } });
      assert.equal(walk.run.problem?.code, 'CHAIN_NO_MATCH');
      assert.doesNotMatch(canonical(walk.last), /\ufffd/);
    }
  });

  it('leaves every decision in canonical form: arguments, outputs, failures, evidence, names and ids', () => {
    fc.assert(
      fc.property(args, result, text, (given, answer, odd) => {
        const walk = begin(flow, given);
        canonical(walk.last);
        if (walk.run.status === 'failed') walk.run = begin(flow).run;
        for (const name of ['guarded', 'gated', odd]) canonical(walk.submit(agent, name, given));
        canonical(walk.submit(principal(odd, 'agent', { roles: [odd] }), 'guarded', { text: 'ok' }));
        const open = walk.run.approvals.at(-1);
        canonical(walk.decide(controller, open?.id ?? odd, 'approve', odd));
        if (open !== undefined) canonical(walk.decide(controller, open.id, 'approve'));
        canonical(walk.submit(agent, 'ask', {}));
        canonical(walk.outcome(answer as never));
        const refused = { kind: 'refused_message', time, reason: 'unsigned', name: odd } as const;
        canonical(walk.send({ ...refused, message: { id: odd, digest: odd } }));
        canonical(walk.send({ kind: odd, time: odd, message: { id: odd } } as never));
      }),
      { numRuns: 300 },
    );
  });

  it('takes a plan apart that cannot be read without writing what it says', () => {
    const walk = begin(flow);
    const broken = {
      ...flow,
      states: [
        {
          name: 'open',
          get transitions(): never {
            throw new Error('\ud800');
          },
        },
      ],
    };
    const sent = message(agent, { kind: 'submit', transition: 'a', arguments: {}, expectedVersion: null });
    const result = decide(broken as never, walk.run, { kind: 'message', time, message: sent }, walk.kit, 'k');
    assert.equal(answerOf(result)?.code, 'INTERNAL');
    canonical(result);
  });
});
