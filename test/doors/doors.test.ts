import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { isDrawn } from '../../testing/samples.js';
import { openHouse, type Door, type House, type Parked, type Person } from './doors.js';

const controller = 'finance.controller';

/** Flows that one person has published, and what their gates ask for. */
const gates = {
  written: { separation: { author: true } },
  promoted: { separation: { promoter: true } },
  twice: { separation: { approvers: true } },
  anybody: {},
  yielding: { timeout: { after: '1h', action: 'approve' } },
  escalating: { timeout: { after: '1h', action: 'escalate', to: ['other'], then: { after: '1h' } } },
} as const;
type Flow = 'pay' | keyof typeof gates;

/** One table for every door: who comes, what was done before, and whether the decision counts. */
const table: readonly {
  readonly name: string;
  /** `pay` unless said. */
  readonly flow?: Flow;
  readonly who: (house: Visitors, parked: Parked) => Promise<Person>;
  readonly before?: (house: Visitors, parked: Parked) => Promise<void>;
  readonly digest?: string;
  readonly taken: boolean;
  /** What the refusal says, at a door that says it. */
  readonly says?: RegExp;
}[] = [
  { name: 'a holder of the role', who: (house) => house.person([controller]), taken: true },
  {
    name: 'one who was given the role after it was asked',
    who: async (house) => house.again(await house.person([]), [controller]),
    taken: true,
  },
  {
    name: 'one who has lost the role since seeing it',
    who: async (house, parked) => {
      const person = await house.person([controller]);
      await house.view(person, parked);
      return house.again(person, []);
    },
    taken: false,
    says: /NOT_AN_APPROVER|NOT_FOUND|not from a page|there is no approval|401/,
  },
  {
    name: 'one who was given the role after seeing it without',
    who: async (house, parked) => {
      const person = await house.person([]);
      await house.glimpse(person, parked);
      return house.again(person, [controller]);
    },
    taken: true,
  },
  { name: 'a human without the role', who: (house) => house.person(['other']), taken: false },
  {
    name: 'who asked for it, with the role',
    who: (house) => Promise.resolve(house.requester),
    taken: false,
    says: /asked for this action|NOT_AN_APPROVER|requester/,
  },
  { name: 'an agent with the role', who: (house) => house.person([controller], 'agent'), taken: false },
  { name: 'a system with the role', who: (house) => house.person([controller], 'system'), taken: false },
  {
    name: 'a holder of the role with the digest of something else',
    who: (house) => house.person([controller]),
    digest: `sha256:${'0'.repeat(64)}`,
    taken: false,
    says: /DIGEST_MISMATCH|not from a page|another digest/,
  },
  {
    name: 'a holder of the role after somebody else has decided',
    who: (house) => house.person([controller]),
    before: async (house, parked) => house.deny(await house.person([controller]), parked),
    taken: false,
  },
  {
    name: 'who wrote this version of the flow, where the gate separates the author',
    flow: 'written',
    who: (house) => Promise.resolve(house.author),
    taken: false,
    says: /wrote this version|NOT_AN_APPROVER|author/,
  },
  {
    name: 'who brought it into the environment, where the gate separates the promoter',
    flow: 'promoted',
    who: (house) => Promise.resolve(house.author),
    taken: false,
    says: /brought this version|NOT_AN_APPROVER|promoter/,
  },
  {
    name: 'who has approved in this run before, where the gate separates approvers',
    flow: 'twice',
    who: (house, parked) => house.approvedBefore(parked),
    taken: false,
    says: /approved something in this run|NOT_AN_APPROVER|approver/,
  },
  {
    name: 'another holder of the role, where the gate separates all of them',
    flow: 'twice',
    who: (house) => house.person([controller]),
    before: async (house, parked) => void (await house.approvedBefore(parked)),
    taken: true,
  },
  {
    name: 'who wrote and promoted it, where the gate separates neither',
    flow: 'anybody',
    who: (house) => Promise.resolve(house.author),
    taken: true,
  },
  {
    name: 'who has approved in this run before, where the gate does not mind',
    flow: 'anybody',
    who: (house, parked) => house.approvedBefore(parked),
    taken: true,
  },
  {
    name: 'a holder of the role after the time was up',
    who: (house) => house.person([controller]),
    before: (house, parked) => house.timeIsUp(parked),
    taken: false,
    says: /APPROVAL_EXPIRED|expired|not from a page|time/,
  },
  {
    name: 'a holder of the role after time has approved it',
    flow: 'yielding',
    who: (house) => house.person([controller]),
    before: (house, parked) => house.timeIsUp(parked),
    taken: false,
  },
  {
    name: 'a holder of the role that it was escalated to',
    flow: 'escalating',
    who: (house) => house.person(['other']),
    before: (house, parked) => house.timeIsUp(parked),
    taken: true,
  },
];

/** What time does, which is a door of its own: nobody comes to it. `times`: how often its timer fires. */
const timeTable: readonly {
  readonly name: string;
  readonly flow: Flow;
  readonly before?: (house: Visitors, parked: Parked) => Promise<void>;
  readonly times?: number;
  readonly executes: boolean;
  readonly status: string;
}[] = [
  { name: 'approves what is reversible', flow: 'yielding', executes: true, status: 'consumed' },
  { name: 'approves it once', flow: 'yielding', times: 3, executes: true, status: 'consumed' },
  { name: 'denies where the gate says nothing', flow: 'pay', executes: false, status: 'expired' },
  { name: 'goes to others first', flow: 'escalating', executes: false, status: 'escalated' },
  { name: 'and denies then', flow: 'escalating', times: 2, executes: false, status: 'expired' },
  {
    name: 'changes nothing after a denial',
    flow: 'yielding',
    before: async (house, parked) => house.deny(await house.person([controller]), parked),
    executes: false,
    status: 'denied',
  },
];

interface Visitors {
  readonly requester: Person;
  /** Holds the role, and has published the flows of `gates`. */
  readonly author: Person;
  person(roles: readonly string[], kind?: Person['kind']): Promise<Person>;
  /** The same person with a new key and other roles; the old key is revoked. */
  again(person: Person, roles: readonly string[]): Promise<Person>;
  view(person: Person, parked: Parked): Promise<void>;
  /** Asks for it, whatever the answer. */
  glimpse(person: Person, parked: Parked): Promise<void>;
  deny(person: Person, parked: Parked): Promise<void>;
  /** A new holder of the role, who has approved another payment of that run. */
  approvedBefore(parked: Parked): Promise<Person>;
  timeIsUp(parked: Parked): Promise<void>;
}

describe('one function decides who may decide, at every door', () => {
  let house: House;
  let visitors: Visitors;
  let made = 0;
  const keyIds = new Map<string, string>();

  before(async () => {
    house = await openHouse();
    const key = async (id: string, kind: Person['kind'], roles: readonly string[]): Promise<Person> => {
      const permissions = ['run.start', 'approval.decide', ...(id === 'author' ? ['flow.publish'] : [])];
      const fields = { id, kind, roles, permissions };
      const { body, status, text } = await house.api.ask('admin', 'POST', '/v1/keys', fields);
      assert.equal(status, 201, text);
      keyIds.set(id, body.keyId);
      return { id, key: body.key, kind, roles };
    };
    const decide = async (person: Person, { id, digest }: Parked, decision: string): Promise<void> => {
      const body = { decision, digest };
      const answer = await house.api.ask(person.key, 'POST', `/v1/approvals/${id}/decision`, body);
      assert.equal(answer.status, 200, answer.text);
    };
    visitors = {
      author: await key('author', 'human', [controller]),
      requester: await key('asker', 'human', [controller]),
      person: (roles, kind = 'human') => key(`visitor-${(made += 1)}`, kind, roles),
      again: async (person, roles) => {
        const old = keyIds.get(person.id) ?? '';
        assert.equal((await house.api.ask('admin', 'DELETE', `/v1/keys/${old}`)).status, 204);
        return key(person.id, person.kind, roles);
      },
      view: async (person, { id }) => {
        assert.equal((await house.api.ask(person.key, 'GET', `/v1/approvals/${id}`)).status, 200);
      },
      glimpse: async (person, { id }) => {
        await house.api.ask(person.key, 'GET', `/v1/approvals/${id}`);
      },
      deny: (person, parked) => decide(person, parked, 'deny'),
      approvedBefore: async ({ run }) => {
        const person = await visitors.person([controller]);
        await decide(person, await ask(run, 250), 'approve');
        return person;
      },
      timeIsUp: ({ run, id }) => house.api.kernel.fire(run, id),
    };
    for (const name of Object.keys(gates) as (keyof typeof gates)[]) {
      const published = await publish(name, gates[name], 'bank.pay');
      assert.equal(published.status, 201, published.text);
    }
  });
  after(() => house.stop());

  const publish = (name: string, gate: object, tool: string) =>
    house.api.ask(visitors.author.key, 'POST', '/v1/flows', {
      ...{ name, owner: 'team', permissions: { execute: [tool] } },
      approval_gate: { approver_role: controller, timeout: { after: '1h' }, ...gate },
    });

  async function park(flow: Flow = 'pay'): Promise<Parked> {
    const started = await house.api.ask(visitors.requester.key, 'POST', `/v1/flows/${flow}/runs`, {});
    assert.equal(started.status, 201, started.text);
    return ask(started.body.run.id as string, 150);
  }

  async function ask(run: string, amount: number): Promise<Parked> {
    const path = `/v1/runs/${run}/transitions/bank.pay`;
    const asked = await house.api.ask(visitors.requester.key, 'POST', path, { arguments: { amount } });
    assert.equal(asked.status, 202, asked.text);
    const { id, digest } = asked.body.result.approval;
    return { id, digest, run };
  }

  async function executions(run: string): Promise<number> {
    await house.api.kernel.settled();
    const found = await house.api.ask('auditor', 'GET', `/v1/audit?run=${run}&type=executor.succeeded`);
    return found.body.data.length;
  }

  /** Of each three cases one at a door, and another at the next door: each case at two doors at least. */
  async function walk(door: Door): Promise<void> {
    const at = house.doors.indexOf(door);
    const cases = table.filter((_, number) => isDrawn(number + at, 5));
    for (const { name, flow, who, before: first, digest, taken, says } of cases) {
      const parked = await park(flow);
      const person = await who(visitors, parked);
      await first?.(visitors, parked);
      const already = await executions(parked.run);
      const told = await door.decide(person, parked, digest);
      assert.equal(told?.taken ?? false, taken, `${name}: ${told?.text ?? ''}`);
      assert.equal((await executions(parked.run)) - already, taken ? 1 : 0, name);
      if (says !== undefined && told !== null) assert.match(`${told.status} ${told.text}`, says, name);
    }
  }

  for (const name of ['rest', 'callback', 'batch', 'page', 'link', 'cli', 'slack']) {
    it(`at the door ${name}`, async () => {
      const door = house.doors.find((one) => one.name === name);
      assert.ok(door, 'the door is there');
      await walk(door);
    });
  }

  it('at the door of time: it approves what is reversible, and else it denies', async () => {
    for (const { name, flow, before: first, times = 1, executes, status } of timeTable) {
      const parked = await park(flow);
      await first?.(visitors, parked);
      for (let fired = 0; fired < times; fired += 1) await visitors.timeIsUp(parked);
      const { body } = await house.api.ask('auditor', 'GET', `/v1/approvals/${parked.id}`);
      assert.equal(body.status, status, name);
      assert.equal(await executions(parked.run), executes ? 1 : 0, name);
      if (!executes) continue;
      const path = `/v1/audit?run=${parked.run}&type=approval.decided`;
      const [decided, ...others] = (await house.api.ask('auditor', 'GET', path)).body.data;
      assert.deepEqual([decided.data.by, decided.actor.kind, others.length], ['timeout', 'runtime', 0], name);
    }
    const wire = await publish('wire', gates.yielding, 'bank.wire');
    assert.equal(wire.status, 422, 'what cannot be undone has no gate that time opens');
    assert.match(wire.text, /reversible/);
  });

  it('refuses a service that acts for a human where the gate asks for the human itself', async () => {
    const flow = {
      ...{ name: 'direct', owner: 'team', permissions: { execute: ['bank.pay'] } },
      approval_gate: { approver_role: controller, direct: 'required', timeout: { after: '1h' } },
    };
    assert.equal((await house.api.ask('admin', 'POST', '/v1/flows', flow)).status, 201);
    const started = await house.api.ask('agent', 'POST', '/v1/flows/direct/runs', {});
    const path = `/v1/runs/${started.body.run.id}/transitions/bank.pay`;
    const asked = await house.api.ask('agent', 'POST', path, { arguments: { amount: 1 } });
    const parked = { ...asked.body.result.approval, run: started.body.run.id } as Parked;
    const person = await visitors.person([controller]);
    const [rest, callback] = house.doors;
    const told = await callback?.decide(person, parked);
    assert.match(`${told?.status} ${told?.text}`, /^403 .*not_direct/);
    const records = async (type: string): Promise<any[]> =>
      (await house.api.ask('auditor', 'GET', `/v1/audit?run=${parked.run}&type=${type}`)).body.data;
    const [refused] = await records('approval.refused');
    assert.deepEqual([refused?.actor.id, refused?.data.actedBy], [person.id, 'helpdesk']);
    assert.equal((await rest?.decide(person, parked))?.taken, true);
  });

  it('lets a service that acts for a human read and decide approvals, and nothing else', async () => {
    const person = await visitors.person([controller]);
    const token = await house.acting(person);
    const me = await house.api.ask(token, 'GET', '/v1/whoami');
    assert.deepEqual([me.body.id, me.body.actedBy], [person.id, 'helpdesk']);
    for (const [method, path, body] of [
      ['POST', '/v1/flows/pay/runs', {}],
      ['GET', '/v1/runs', undefined],
      ['POST', '/v1/approvals/x/links', {}],
      ['POST', '/v1/keys', { id: 'x', kind: 'human' }],
    ] as const) {
      const answer = await house.api.ask(token, method, path, body);
      assert.equal(answer.status, 403, `${path}: ${answer.text}`);
      assert.deepEqual([answer.body.title, answer.body.why], ['you may not do this', 'acts_for_another']);
    }
    const recorded = async (type: string): Promise<any[]> =>
      (await house.api.ask('auditor', 'GET', `/v1/audit?actor=${person.id}&type=${type}`)).body.data;
    for (const { data } of await recorded('request.refused'))
      assert.deepEqual([data.why, data.actedBy], ['acts_for_another', 'helpdesk']);
    assert.deepEqual([(await recorded('request.refused')).length, await recorded('authz.denied')], [4, []]);
    assert.equal((await house.api.ask(token, 'GET', '/v1/approvals')).status, 200);
    const started = await house.api.ask('agent', 'POST', '/v1/flows/pay/runs', {});
    const path = `/v1/runs/${started.body.run.id}/transitions/bank.pay`;
    const asked = await house.api.ask('agent', 'POST', path, { arguments: { amount: 150 } });
    const view = (key: string): Promise<unknown> =>
      house.api.ask(key, 'GET', `/v1/approvals/${asked.body.result.approval.id}`);
    await view(token);
    assert.deepEqual(await recorded('approval.viewed'), [], 'the human has not read it');
    await view(person.key);
    assert.equal((await recorded('approval.viewed')).length, 1);
  });
});
