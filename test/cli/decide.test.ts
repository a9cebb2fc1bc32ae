import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as ask, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run } from '../../src/cli/command.js';
import { startApi, type Harness } from '../api/harness.js';
import { writeFiles } from '../../testing/files.js';

// `countersign approve` and `deny` say what became of the decision, and of what was approved: never more than the store.

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

describe('npx countersign approve', () => {
  let api: Harness;
  let target: Server;
  /** Calls that wait for their answer. */
  const asked: ServerResponse[] = [];
  before(async () => {
    api = await startApi();
    target = createServer((request, response) => {
      if (request.url === '/bad') return response.writeHead(422).end('{"why": "no such account"}');
      asked.push(response);
      return target.emit('asked');
    });
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
    const baseUrl = `http://127.0.0.1:${(target.address() as AddressInfo).port}`;
    const effect = (path: string, more = ''): string => `{
            target: done, tier: reversible, ${more}
            executor: { kind: rest, connection: bank, method: POST, path: ${path} },
            gate: { roles: [finance.controller], timeout: { after: 1h } } }`;
    const files: Readonly<Record<string, string>> = {
      'connections.yaml': `connections: { bank: { kind: rest, baseUrl: "${baseUrl}", allowPrivate: true } }\n`,
      'flows/wire.yaml': `workflows:
  wire:
    owner: team
    initialState: open
    initialContext: { level: 0 }
    states:
      open:
        transitions:
          hold: ${effect('/hold')}
          fail: ${effect('/bad')}
          lose: ${effect('/hold', 'reliability: { timeout: 200ms },')}
          sink: { target: sunk, executor: { kind: noop }, tier: reversible, gate: { roles: [finance.controller], timeout: { after: 1h } } }
          both: { target: done, executor: { kind: noop }, tier: reversible, gate: { roles: [finance.controller], quorum: { count: 2 }, timeout: { after: 1h } } }
          tell: { target: done, executor: { kind: noop }, tier: reversible, gate: { roles: [finance.controller], reason: required, timeout: { after: 1h } } }
      sunk:
        transitions:
          up: { target: done, actor: deterministic, guards: [{ kind: expr, expr: "$.context.level > 1" }] }
          down: { target: done, actor: deterministic, guards: [{ kind: expr, expr: "$.context.level < 0" }] }
      done: { terminal: true }
`,
    };
    writeFiles(join(api.home, 'policies'), files);
    const reloaded = await api.ask('admin', 'POST', '/v1/policies/reload', {});
    assert.equal(reloaded.status, 200, reloaded.text);
  });
  after(async () => {
    target.closeAllConnections();
    target.close();
    await api.stop();
  });

  async function countersign(...argv: string[]): Promise<Ran> {
    const [out, err]: [string[], string[]] = [[], []];
    const env = { COUNTERSIGN_HOME: api.home, COUNTERSIGN_URL: api.url };
    const terminal = {
      ...{ out: (line: string) => void out.push(line), err: (line: string) => void err.push(line) },
      env,
    };
    const code = await run([...argv, '--as', 'finance'], terminal);
    return { code, out: out.join('\n'), err: err.join('\n') };
  }

  async function park(transition: string): Promise<{ approval: string; run: string }> {
    const started = await api.ask('agent', 'POST', '/v1/flows/wire/runs', {});
    assert.equal(started.status, 201, started.text);
    const path = `/v1/runs/${started.body.run.id}/transitions/${transition}`;
    const parked = await api.ask('agent', 'POST', path, {});
    assert.equal(parked.status, 202, parked.text);
    return { approval: parked.body.result.approval.id, run: started.body.run.id };
  }

  it('says that it is executing still, and where to look; and then what came of it', async () => {
    const { approval } = await park('hold');
    const called = once(target, 'asked');
    const ran = await countersign('approve', approval, '--wait', '0');
    assert.equal(ran.code, 0, ran.err);
    assert.match(ran.out, /approved and applied, still under way\naction act_\w+ of hold: still /);
    const look = /look with `npx countersign (action) (act_\w+)`/.exec(ran.out)?.slice(1) ?? [];
    await called;
    const read = async (): Promise<unknown[]> => {
      const { body } = await api.ask('agent', 'GET', `/v1/actions/${look[1] ?? ''}`);
      return [body.status, body.callUnderWay, body.callLost];
    };
    for (const [seenAt, lease, callUnderWay, callLost, said] of [
      ['infinity', '10 seconds', true, undefined, /of hold: still executing\n/],
      [
        '-infinity',
        '10 seconds',
        false,
        true,
        /of hold: still executing: the worker that made its call has gone silent/,
      ],
      ['infinity', '-1 seconds', false, true, /it may have happened; it waits to be called again/],
    ] as const) {
      await api.database.asSuperuser(
        `insert into worker_process (id, environments, unset, seen_at)
           select process, '{}', '[]', '${seenAt}' from execution_attempt where action = '${look[1] ?? ''}'
           on conflict (id) do update set seen_at = excluded.seen_at;
         update execution_attempt set lease_until = clock_timestamp() + interval '${lease}' where action = '${look[1] ?? ''}'`,
      );
      assert.deepEqual(await read(), ['executing', callUnderWay, callLost]);
      assert.match((await countersign(...look)).out, said);
    }
    asked.pop()?.end('{"ok": true}');
    await api.kernel.settled();
    assert.match((await countersign(...look)).out, /of hold: executed: /);
  });

  it('waits for the outcome, and says that it was executed', async () => {
    const { approval } = await park('hold');
    void once(target, 'asked').then(() => asked.pop()?.end('{"ok": true}'));
    const ran = await countersign('approve', approval);
    assert.equal(ran.code, 0, ran.err);
    assert.match(ran.out, /approved and executed\naction act_\w+ of hold: executed: [^\n]*ok/);
    assert.match(ran.out, /run run_\w+ is completed in state done$/);
  });

  it('says that it failed afterwards, and why, with exit code 1', async () => {
    const { approval } = await park('fail');
    const ran = await countersign('approve', approval);
    assert.equal(ran.code, 1, ran.out);
    assert.match(
      ran.out,
      /approved, and then failed\naction act_\w+ of fail: failed: EXECUTOR_FAILED: .*422.*\(permanent\)/,
    );
    const again = await countersign('action', /act_\w+/.exec(ran.out)?.[0] ?? '');
    assert.deepEqual([again.code, /of fail: failed: /.test(again.out)], [1, true], again.out);
    const asJson = await countersign('approve', (await park('fail')).approval, '--json');
    const { action, approval: decided } = JSON.parse(asJson.out);
    assert.deepEqual([asJson.code, action.status, decided.decisions[0].status], [1, 'failed', 'applied']);
  });

  it('says that nobody knows its outcome and that the run is stuck, with exit code 1', async () => {
    const { approval } = await park('lose');
    const ran = await countersign('approve', approval);
    asked.pop()?.end();
    assert.equal(ran.code, 1, ran.out);
    assert.match(
      ran.out,
      /approved, and nobody knows what came of it\naction act_\w+ of lose: its outcome is unknown/,
    );
    assert.match(ran.out, /run run_\w+ is stuck in state open: EXECUTOR_UNKNOWN: /);
  });

  it('says that what was approved was done where the run is stuck after it', async () => {
    const { approval } = await park('sink');
    const ran = await countersign('approve', approval);
    assert.equal(ran.code, 0, ran.out);
    assert.match(ran.out, /approved and executed\n[^]*run run_\w+ is stuck in state sunk: CHAIN_NO_MATCH: /);
  });

  it('says who else it waits for, where one approval is not enough', async () => {
    const { approval } = await park('both');
    const ran = await countersign('approve', approval);
    assert.equal(ran.code, 0, ran.err);
    assert.match(
      ran.out,
      /your approval is applied, and the approval waits for others:\n.*1 of 2 have approved/,
    );
    const again = await countersign('approve', approval);
    assert.equal(again.code, 1);
    assert.match(
      again.err,
      /^ALREADY_DECIDED: `finance` has already approved this, at .*: the run has applied it$/,
    );
  });

  it('names the option that gives a reason where the gate asks for one, by itself and in a batch', async () => {
    const { approval } = await park('tell');
    const asked =
      /^REASON_REQUIRED: this gate asks for a reason: give one with --reason "…"\n {2}--reason is required by this gate$/m;
    for (const decision of ['approve', 'deny']) {
      const ran = await countersign(decision, approval);
      assert.deepEqual([ran.code, asked.test(ran.err)], [1, true], ran.err);
    }
    const batch = ['batch', 'deny', approval, (await park('both')).approval];
    const all = await countersign(...batch);
    assert.equal(all.code, 1);
    assert.match(all.out, / {2}REASON_REQUIRED {2}this gate asks for a reason: give one with --reason "…"\n/);
    assert.match(
      all.out,
      /\nnothing is decided: leave out what is refused, or decide the others with --each$/,
    );
    assert.match(
      (await countersign(...batch, '--each')).out,
      /\nnothing is decided yet: add --yes to do it$/,
    );
    const denied = await countersign(...batch, '--yes', '--reason', 'not wanted');
    assert.equal(denied.code, 0, denied.err);
  });

  it('says that a decision is durable and not applied yet, never that it is approved', async () => {
    const [{ approval }, denied] = [await park('both'), await park('both')];
    api.kernel.idle = true;
    const ran = await countersign('approve', approval, '--wait', '0');
    assert.equal(ran.code, 0, ran.err);
    assert.match(
      ran.out,
      /decision dec_\w+ \(approve, by finance at [^)]+\) is durable, and not applied yet/,
    );
    assert.doesNotMatch(ran.out, /^approved|is applied$/m);
    const look = /look with `npx countersign (decision) (dec_\w+)`/.exec(ran.out)?.slice(1) ?? [];
    assert.match((await countersign(...look)).out, /not applied yet/);
    // While somebody waits for it, the run takes it.
    const waiting = countersign('deny', denied.approval);
    api.kernel.idle = false;
    assert.match((await waiting).out, /denied and applied: nothing runs of it$/);
    await api.kernel.settled();
    assert.match((await countersign(...look)).out, /dec_\w+ \(approve, .*\) is applied$/);
  });

  it('says that a decision was kept and then refused, with exit code 1', async () => {
    const { approval, run: id } = await park('both');
    api.kernel.idle = true;
    const cancelled = await api.ask('admin', 'POST', `/v1/runs/${id}/cancel`, { reason: 'not wanted' });
    assert.equal(cancelled.status, 202, cancelled.text);
    const ran = countersign('approve', approval);
    setImmediate(() => (api.kernel.idle = false));
    const { code, out, err } = await ran;
    assert.equal(code, 1, out);
    assert.match(`${out}${err}`, /APPROVAL_REVOKED/);
    assert.doesNotMatch(out, /approved, and|approved and/);
  });

  describe('where the service answers no more once it has the decision', () => {
    let between: Server;
    /** Requests after the decision that get no answer. */
    let lost = 0;
    let hangs = false;
    /** Of these addresses alone. */
    let lostPath = /^/;
    let decided = false;
    /** For how many seconds the service was asked to hold its looks at the action. */
    const waits: number[] = [];
    before(async () => {
      between = createServer((request, response) => {
        const wait = /^\/v1\/actions\/.*\?wait=(\d+)$/.exec(request.url ?? '')?.[1];
        if (wait !== undefined) waits.push(Number(wait));
        if (decided && lost > 0 && lostPath.test(request.url ?? '')) {
          lost -= 1;
          return hangs ? undefined : response.destroy();
        }
        decided ||= request.url?.endsWith('/decision') === true;
        const { method, headers, url: path } = request;
        const onward = ask(`${api.url}${path ?? ''}`, { method, headers }, (answer) => {
          response.writeHead(answer.statusCode ?? 500, answer.headers);
          answer.pipe(response);
        });
        return request.pipe(onward);
      });
      await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
    });
    after(() => {
      between.closeAllConnections();
      between.close();
    });
    const away = (requests: number, ...argv: string[]): Promise<Ran> => {
      [lost, decided] = [requests, false];
      const port = (between.address() as AddressInfo).port;
      return countersign(...argv, '--url', `http://127.0.0.1:${port}`);
    };

    it(
      'waits no longer than it was told for one that hangs, and says what is certain',
      { timeout: 45_000 },
      async () => {
        hangs = true;
        const ran = await away(1_000, 'approve', (await park('sink')).approval, '--wait', '1').finally(() => {
          hangs = false;
        });
        assert.equal(ran.code, 0, ran.err);
        assert.match(ran.out, /cannot be read now/);
      },
    );

    it('says that the action has failed, with exit code 1, where only its run is not read', async () => {
      lostPath = /^\/v1\/runs\//;
      const ran = await away(Infinity, 'approve', (await park('fail')).approval, '--wait', '2').finally(
        () => {
          lostPath = /^/;
        },
      );
      assert.equal(ran.code, 1, ran.out);
      assert.match(ran.out, /^approved, and then failed\naction act_\w+ of fail: failed: EXECUTOR_FAILED/m);
      assert.match(ran.out, /cannot be read now/);
    });

    it('asks it to hold each look no longer than for what is left of its time', async () => {
      waits.length = 0;
      const ran = await away(Infinity, 'approve', (await park('sink')).approval, '--wait', '3');
      assert.match(ran.out, /cannot be read now/);
      assert.equal(waits[0], 3);
      assert.ok((waits.at(-1) ?? 3) < 3, waits.join());
      assert.deepEqual(waits, waits.toSorted().reverse());
    });

    it(
      'asks again within its time one that has left a look without an answer',
      { timeout: 45_000 },
      async () => {
        hangs = true;
        const ran = await away(1, 'approve', (await park('sink')).approval, '--wait', '14').finally(() => {
          hangs = false;
        });
        assert.deepEqual([ran.code, ran.err], [0, '']);
        assert.match(ran.out, /^approved and executed$/m);
      },
    );

    it('asks until it answers again, and says what came of it', async () => {
      const ran = await away(3, 'approve', (await park('sink')).approval);
      assert.deepEqual([ran.code, ran.err], [0, '']);
      assert.match(ran.out, /^approved and executed$/m);
    });

    it('says that the approval is applied, and where to look, when the time is up', async () => {
      const ran = await away(Infinity, 'approve', (await park('sink')).approval, '--wait', '0');
      assert.deepEqual([ran.code, ran.err], [0, '']);
      assert.match(
        ran.out,
        /^approved and applied\nlook with `npx countersign action act_\w+`\nwhat came of it cannot be read now: .* did not answer/m,
      );
      const asJson = await away(Infinity, 'approve', (await park('sink')).approval, '--wait=0', '--json');
      const { approval, unread } = JSON.parse(asJson.out);
      assert.deepEqual([asJson.code, approval.decisions[0].status], [0, 'applied']);
      assert.match(unread, /did not answer/);
    });

    it('says that the decision is durable, and where to look, when its run has not taken it', async () => {
      const { approval } = await park('both');
      api.kernel.idle = true;
      const ran = await away(Infinity, 'deny', approval, '--wait', '0', '--json');
      api.kernel.idle = false;
      const { decision, unread } = JSON.parse(ran.out);
      assert.deepEqual([ran.code, decision.status, /did not answer/.test(unread)], [0, 'accepted', true]);
      await api.kernel.settled();
    });
  });

  it('takes whole seconds to wait, and nothing else', async () => {
    for (const wait of ['x', '-1', '1.5', '1000']) {
      const ran = await countersign('approve', 'apr_x', `--wait=${wait}`);
      assert.deepEqual([ran.code, /--wait must be whole seconds/.test(ran.err)], [2, true], ran.err);
    }
  });
});
