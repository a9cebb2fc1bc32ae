import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../../src/model/values/json.js';
import {
  actionIds,
  approvalMessage,
  reasonModal,
  type SlackApproval,
  type SlackMessage,
} from '../../src/notify/channels/slack/blocks.js';

const asked: SlackApproval = {
  id: 'apr_1',
  digest: `sha256:${'a'.repeat(64)}`,
  status: 'open',
  flow: 'pay',
  environment: 'dev',
  run: 'run_1',
  transition: 'bank.pay',
  tool: 'bank.pay',
  tier: 'irreversible',
  summary: 'pay 60,000 to ACME',
  consequence: 'pays 60,000 to ACME; cannot be undone',
  arguments: { amount: 60_000, vendor: 'ACME' },
  preview: { kind: 'noop' },
  unreadable: [],
  requestedBy: 'agent-7',
  because: ['charter: amount > 50000'],
  roles: ['finance.controller'],
  gates: [
    { rule: 'charter: amount > 50000', text: 'one of the roles finance.controller; 1 of 2 have approved' },
  ],
  expiresAt: '2026-11-22T10:00:00.000Z',
  onExpiry: 'at 2026-11-22T10:00:00.000Z it expires: nothing runs',
  closedAt: null,
  decisions: [],
  page: 'https://countersign.example/approvals/apr_1',
};

const texts = (value: unknown): { type: string; text: string }[] => {
  if (Array.isArray(value)) return value.flatMap(texts);
  if (typeof value !== 'object' || value === null) return [];
  const object = value as { type?: unknown; text?: unknown };
  const own =
    typeof object.text === 'string' && typeof object.type === 'string'
      ? [{ type: object.type, text: object.text }]
      : [];
  return [...own, ...Object.values(value).flatMap(texts)];
};
const decoded = (text: string): string =>
  text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
const codeOf = ({ blocks }: SlackMessage): string[] =>
  texts(blocks)
    .filter((block) => block.type === 'mrkdwn')
    .map((block) => /^```\n([\s\S]*)\n```$/.exec(block.text)?.[1] ?? assert.fail(block.text));
const buttonsOf = ({ blocks }: SlackMessage): any[] =>
  (blocks as any[]).filter((block) => block.type === 'actions').flatMap((block) => block.elements);
const words = (message: SlackMessage): string =>
  texts(message.blocks)
    .map((block) => decoded(block.text))
    .join('\n');

describe('an approval in Slack', () => {
  it('shows the exact action, who asks, why, what follows, and until when', () => {
    const message = approvalMessage(asked);
    assert.deepEqual(JSON.parse(decoded(codeOf(message)[0] ?? '')), asked.arguments);
    const said = words(message);
    for (const text of [
      asked.summary,
      asked.consequence,
      'agent-7',
      'irreversible',
      'amount > 50000',
      asked.digest,
      'finance.controller; 1 of 2 have approved',
      asked.onExpiry,
    ])
      assert.ok(said.includes(text), text);
    assert.equal(message.text, 'Approval needed: pay 60,000 to ACME');
  });

  it('has buttons that name the approval and the digest that was shown', () => {
    const [approve, deny, open] = buttonsOf(approvalMessage(asked));
    assert.deepEqual([approve.action_id, deny.action_id], [actionIds.approve, actionIds.deny]);
    for (const button of [approve, deny])
      assert.deepEqual(JSON.parse(button.value), { approval: asked.id, digest: asked.digest });
    assert.equal(open.url, asked.page);
    assert.equal(buttonsOf(approvalMessage({ ...asked, page: null })).length, 2);
  });

  it('has no buttons once it is settled, and says who decided and when', () => {
    const decisions = [
      { by: 'ann', decision: 'approve', at: '2026-11-21T10:00:00.000Z' },
      { by: 'bob', decision: 'deny', at: '2026-11-21T11:00:00.000Z' },
    ];
    const closedAt = '2026-11-21T11:00:00.000Z';
    const denied = approvalMessage({ ...asked, status: 'denied', decisions, closedAt });
    assert.deepEqual(buttonsOf(denied), []);
    assert.ok(words(denied).includes('Denied by bob at 2026-11-21T11:00:00.000Z.'));
    assert.ok(!words(denied).includes('by ann'));
    const approved = approvalMessage({ ...asked, status: 'consumed', decisions, closedAt });
    assert.ok(words(approved).includes('Approved by ann at 2026-11-21T10:00:00.000Z.'));
    for (const status of ['expired', 'revoked']) {
      const over = approvalMessage({ ...asked, status, closedAt });
      assert.deepEqual(buttonsOf(over), []);
      assert.match(words(over), /(Expired|Revoked) at 2026-11-21T11:00:00.000Z: /);
    }
  });

  it('says what does not fit, and is not approved where it was not shown whole', () => {
    const long = { ...asked, arguments: { text: 'x'.repeat(20_000) } };
    const message = approvalMessage(long);
    const shown = codeOf(message).slice(0, 2).join('').length;
    const whole = JSON.stringify(long.arguments, null, 2).length;
    assert.ok(words(message).includes(`${whole - shown} more characters of the arguments do not fit here`));
    assert.deepEqual(
      buttonsOf(message).map((button) => button.action_id),
      [actionIds.deny, actionIds.open],
    );
  });

  it('keeps what agents write from being markup, mentions, links or invisible', () => {
    const evil = '<!channel> <https://evil|safe> & *bold* ``` end\n@here \u202e\u200b\u{e0041}\u3164';
    const message = approvalMessage({
      ...asked,
      summary: evil,
      consequence: evil,
      requestedBy: evil,
      because: [evil],
      arguments: { [evil]: evil },
      preview: evil,
    });
    for (const { type, text } of [...texts(message.blocks), { type: 'plain_text', text: message.text }]) {
      assert.ok(!/[<>]/.test(text), text);
      assert.ok(!/&(?!amp;|lt;|gt;)/.test(text), text);
      assert.ok(!/[\u202e\u200b\u3164]|\u{e0041}/u.test(text), text);
      if (type === 'mrkdwn') assert.ok(!text.slice(3, -3).includes('`'), text);
    }
    assert.deepEqual(JSON.parse(decoded(codeOf(message)[0] ?? '')), { [evil]: evil });
  });

  it('says what cannot be read, and has no button to approve it', () => {
    for (const part of ['arguments', 'preview']) {
      const message = approvalMessage({ ...asked, unreadable: [part] });
      const buttons = buttonsOf(message).map(({ action_id: id }) => id);
      assert.deepEqual(buttons, [actionIds.deny, actionIds.open]);
      assert.equal(codeOf(message)[part === 'arguments' ? 0 : 1], '(cannot be read)');
    }
  });

  it('is within the limits of Slack and exact, whatever is asked for', () => {
    const json = fc.dictionary(
      fc.string({ unit: 'binary', maxLength: 2_000 }),
      fc.jsonValue() as fc.Arbitrary<Json>,
    );
    const text = fc.string({ unit: 'binary', maxLength: 4_000 });
    fc.assert(
      fc.property(json, text, text, fc.array(text, { maxLength: 8 }), (args, summary, tool, because) => {
        const approval = { ...asked, arguments: args, preview: args, summary, tool, because };
        const message = approvalMessage(approval);
        const modal = reasonModal(approval, 'approve', { metadata: '{}', reasonRequired: false }) as any;
        assert.ok(message.blocks.length <= 50 && modal.blocks.length <= 100);
        const total = texts(message.blocks).reduce((sum, block) => sum + block.text.length, 0);
        assert.ok(total < 10_500, String(total));
        assert.ok(((message.blocks[0] as any).text.text as string).length <= 150);
        for (const block of [...texts(message.blocks), ...texts(modal.blocks)]) {
          assert.ok(block.text.length > 0 && block.text.length <= 3_000, String(block.text.length));
          assert.ok(block.text.isWellFormed());
        }
        const approves = buttonsOf(message).some((button) => button.action_id === actionIds.approve);
        const pieces = codeOf(message);
        const exact = JSON.stringify(args, null, 2);
        if (!approves) return assert.ok(exact.length > 100);
        const whole = decoded(pieces.slice(0, -1).join('\n'));
        assert.ok(sameJson(whole, args) || sameJson(decoded(pieces.slice(0, -1).join('')), args));
      }),
      { numRuns: 60 },
    );
  });
});

function sameJson(text: string, value: Json): boolean {
  try {
    assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
    return true;
  } catch {
    return false;
  }
}
