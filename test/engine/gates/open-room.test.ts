import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { canonical } from '../../../src/model/values/canonical.js';
import {
  mostApprovalsBytes,
  mostConditions,
  mostDocumentBytes,
  mostOpenApprovals,
  mostOpenBytes,
} from '../../../src/model/limits.js';
import type { Transition } from '../../../src/engine/plan.js';
import type { ApprovalState } from '../../../src/engine/state.js';
import { expr, gate, literal, path, plan, state, transition } from '../build.js';
import { agent, ann } from '../people.js';
import { answerOf, begin, type Walk } from '../walk.js';

// What the open approvals of a run take of its document is bounded, however much their guards and gates say.

const asking = (pay: Partial<Transition>): Walk =>
  begin(plan([state('a', [transition('pay', 'a', { gates: [gate()], ...pay })])]));

const askAll = (walk: Walk): ReturnType<typeof answerOf>[] =>
  Array.from({ length: mostOpenApprovals }, (_one, amount) =>
    answerOf(walk.submit(agent, 'pay', { amount: amount + 1, what: 'w' })),
  );

const withoutArguments = (approval: ApprovalState): ApprovalState => ({
  ...approval,
  action: { ...approval.action, arguments: {} },
});

const documentBytes = ({ run }: Walk): number =>
  Buffer.byteLength(canonical({ ...run, approvals: run.approvals.map(withoutArguments) }));

const sentence =
  /takes (\d+) bytes, with this one (\d+), and 1048576 are the most of a run: have some decided first$/;

const large: Record<string, Partial<Transition>> = {
  'the reports of 256 guards': {
    guards: Array.from({ length: mostConditions }, (_one, index) =>
      expr(path('arguments', 'what'), '!=', literal(`${index} ${'x'.repeat(200)}`)),
    ),
  },
  'gates with many roles': {
    gates: Array.from({ length: 10 }, (_one, at) =>
      gate({
        roles: ['finance.controller', ...Array.from({ length: 100 }, (_role, index) => `r${at}.é${index}`)],
      }),
    ),
  },
};

describe('what open approvals take of the document of their run', () => {
  for (const [what, pay] of Object.entries(large)) {
    it(`has an end: with ${what} one more is refused, with how much it is, and goes on when some are decided`, () => {
      const walk = asking(pay);
      const said = askAll(walk);
      const opened = walk.run.approvals.length;
      assert.ok(opened > 0 && opened < mostOpenApprovals, `${opened} opened`);
      assert.deepEqual(
        said.map((answer) => answer?.code),
        said.map((_one, index) => (index < opened ? undefined : 'RUN_FULL')),
      );
      const taken = walk.run.approvals.reduce((sum, approval) => sum + (approval.documentBytes ?? 0), 0);
      const [, before, after] =
        sentence.exec(JSON.parse(JSON.stringify(said.at(-1))).message as string) ?? [];
      assert.equal(Number(before), taken);
      assert.ok(taken <= mostApprovalsBytes && Number(after) > mostApprovalsBytes);
      assert.ok(documentBytes(walk) < mostDocumentBytes);

      walk.decide(ann, walk.run.approvals[0]?.id ?? '', 'deny');
      // An approval that was denied in this very step takes no room any more.
      assert.equal(answerOf(walk.submit(agent, 'pay', { amount: 200, what: 'w' }))?.status, 'pending');
    });
  }

  it('is counted as it is stored, without the arguments, whose payload is named in their place', () => {
    const walk = asking({});
    walk.submit(agent, 'pay', { amount: 5, text: 'x'.repeat(10_000) });
    const [{ argumentBytes, previewBytes, documentBytes: counted, ...opened } = assert.fail()] =
      walk.run.approvals;
    assert.ok(argumentBytes !== undefined && previewBytes !== undefined);
    const { arguments: _held, ...action } = opened.action;
    assert.equal(counted, Buffer.byteLength(canonical({ ...opened, action })));
  });

  it('also counts with their arguments and previews, and one that opened before it was counted takes none', () => {
    const walk = asking({});
    walk.submit(agent, 'pay', { amount: 1 });
    const [first = assert.fail()] = walk.run.approvals;
    const previewBytes = mostOpenBytes - (first.documentBytes ?? 0);
    walk.run = { ...walk.run, approvals: [{ ...first, previewBytes, argumentBytes: 0 }] };
    assert.equal(answerOf(walk.submit(agent, 'pay', { amount: 2 }))?.code, 'RUN_FULL');
    const { documentBytes: _counted, ...old } = first;
    walk.run = { ...walk.run, approvals: [old] };
    assert.equal(answerOf(walk.submit(agent, 'pay', { amount: 2 }))?.status, 'pending');
  });

  it('never has one that is more than all of them may be, and nobody is told that a decision makes room for it', () => {
    const roles = Array.from({ length: 3 }, (_one, at) => `${at}${'r'.repeat(mostApprovalsBytes / 2)}`);
    const said = answerOf(asking({ gates: [gate({ roles })] }).submit(agent, 'pay'));
    assert.equal(said?.code, 'RUN_FULL');
    assert.match(JSON.stringify(said), /no run can have it: shorten its guards and gates in the flow"/);
  });

  it('leaves room for a hundred approvals of an ordinary gate', () => {
    const walk = asking({});
    assert.ok(askAll(walk).every((answer) => answer?.status === 'pending'));
  });
});
