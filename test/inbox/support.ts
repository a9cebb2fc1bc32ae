import assert from 'node:assert/strict';
import { startStack, type Answer, type Stack } from '../../testing/servers/stack.js';

function agent(name: string, environment: string): object {
  const execute = ['note.write', 'bank.pay', 'soon.gone', 'dead.call', 'slow.call'];
  return { name, environment, owner: 'team', permissions: { read: ['book.look'], execute } };
}

/** A desk where agents ask for things of every tier, and people of two roles decide. */
export const policies: Readonly<Record<string, string>> = {
  'environments.yaml': 'environments: { dev: {}, staging: { batchIrreversible: true } }\n',
  'roles.yaml': 'roles: { controller: { permissions: [] }, clerk: { permissions: [] } }\n',
  'connections.yaml': `
connections:
  nobody: { kind: rest, baseUrl: "http://127.0.0.1:9", allowPrivate: true }
  sleep: { kind: cli, command: /bin/sleep }
`,
  'tools/desk.yaml': `
tools:
  - name: book.look
    tier: read_only
    gate: { roles: [clerk], timeout: { after: 1h } }
    executor: { kind: noop, output: { seen: true } }
  - name: note.write
    tier: reversible
    inputSchema:
      type: object
      additionalProperties: false
      required: [text]
      properties: { text: { type: string } }
    gate: { roles: [clerk, controller], timeout: { after: 2h } }
    executor: { kind: noop, output: { written: true } }
  - name: bank.pay
    title: Pay
    tier: irreversible
    summary: "pay {$.arguments.amount} to {$.arguments.vendor}"
    consequence: "pays {$.arguments.amount} to {$.arguments.vendor}{$.arguments.note?}"
    inputSchema:
      type: object
      additionalProperties: false
      required: [vendor]
      properties: { vendor: { type: string }, amount: { type: number }, note: { type: string } }
    gate: { roles: [controller], reason: required, timeout: { after: 3h, action: escalate, to: [clerk] } }
    executor: { kind: noop, output: { paid: true } }
  - name: soon.gone
    tier: reversible
    gate: { roles: [clerk], timeout: { after: 1s } }
    executor: { kind: noop }
  - name: dead.call
    tier: reversible
    gate: { roles: [clerk], timeout: { after: 1h } }
    executor: { kind: rest, connection: nobody, method: GET, path: / }
  - name: slow.call
    tier: reversible
    gate: { roles: [clerk], timeout: { after: 1h } }
    executor: { kind: cli, connection: sleep, args: ["2"] }
`,
  'flows/desk.json': JSON.stringify(agent('desk', 'dev')),
  'flows/branch.json': JSON.stringify(agent('branch', 'staging')),
  'flows/form.yaml': `
workflows:
  form:
    owner: team
    initialState: open
    states:
      open:
        transitions:
          sign:
            target: done
            executor: { kind: human, roles: [clerk] }
      done: { terminal: true }
`,
};

export interface Ask {
  (method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
}

export interface Desk {
  readonly stack: Stack;
  /** By name; made once. */
  readonly as: Readonly<Record<string, Ask>>;
  readonly keys: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const people = {
  carla: { kind: 'human', roles: ['controller'] },
  carol: { kind: 'human', roles: ['controller'] },
  casey: { kind: 'human', roles: ['controller'], permissions: ['run.start'] },
  clark: { kind: 'human', roles: ['clerk'] },
  norman: { kind: 'human', roles: [], permissions: ['run.read'] },
  robot: { kind: 'agent', permissions: ['run.start'] },
  drone: { kind: 'agent', roles: ['clerk', 'controller'], permissions: ['run.start', 'run.read'] },
} as const;

/** Its stack and its approvals are the file's own. */
export async function openDesk(): Promise<Desk> {
  return openDeskOn(await startStack({ policies }));
}

export async function openDeskOn(stack: Stack): Promise<Desk> {
  const keys: Record<string, string> = {};
  const as: Record<string, Ask> = {};
  try {
    for (const [id, fields] of Object.entries(people)) {
      const made = await stack.fetchAs('admin', 'POST', '/v1/keys', { id, ...fields });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      const key = made.body.key as string;
      keys[id] = key;
      as[id] = (method, path, body, headers = {}) =>
        stack.fetchAs(null, method, path, body, { authorization: `Bearer ${key}`, ...headers });
    }
  } catch (error) {
    await stack.stop();
    throw error;
  }
  for (const name of ['admin', 'auditor'])
    as[name] = (method, path, body, headers) => stack.fetchAs(name, method, path, body, headers);
  return { stack, as, keys, stop: () => stack.stop() };
}

export interface Parked {
  readonly run: string;
  readonly id: string;
  readonly digest: string;
  readonly poll: string;
  readonly headers: Headers;
}

/** `desk` runs in dev, `branch` in staging. */
export async function startRun(desk: Desk, flow = 'desk'): Promise<string> {
  const { status, body } = await desk.as['robot']!('POST', `/v1/flows/${flow}/runs`, {});
  assert.equal(status, 201, JSON.stringify(body));
  return body.run.id as string;
}

export async function ask(
  desk: Desk,
  run: string,
  tool: string,
  args: object = {},
  as = 'robot',
): Promise<Parked> {
  const { status, body, headers } = await desk.as[as]!('POST', `/v1/runs/${run}/transitions/${tool}`, {
    arguments: args,
  });
  assert.equal(status, 202, JSON.stringify(body));
  assert.equal(body.result.status, 'pending', JSON.stringify(body.result));
  const { approval, poll } = body.result;
  return { run, id: approval.id, digest: approval.digest, poll, headers };
}

/** An approval in a run of its own. */
export async function park(desk: Desk, tool: string, args: object = {}, flow = 'desk'): Promise<Parked> {
  return ask(desk, await startRun(desk, flow), tool, args);
}

export async function decide(
  desk: Desk,
  as: string,
  { id, digest }: Pick<Parked, 'id' | 'digest'>,
  decision: 'approve' | 'deny',
  reason?: string,
): Promise<Answer> {
  const body = { decision, digest, ...(reason === undefined ? {} : { reason }) };
  return desk.as[as]!('POST', `/v1/approvals/${id}/decision`, body);
}

export async function inbox(desk: Desk, as: string, query: string): Promise<any[]> {
  const { status, body } = await desk.as[as]!('GET', `/v1/approvals?limit=500&${query}`);
  assert.equal(status, 200, JSON.stringify(body));
  return body.data as any[];
}

export const ids = (items: readonly { id: string }[]): string[] => items.map((one) => one.id);

/** Records about a run, of one type. */
export async function records(desk: Desk, run: string, type: string): Promise<any[]> {
  const { status, body } = await desk.as['auditor']!('GET', `/v1/runs/${run}/audit?type=${type}&limit=500`);
  assert.equal(status, 200, JSON.stringify(body));
  return body.data as any[];
}

export const codes = ({ status, body }: Answer): [number, string] => [status, body?.code];
