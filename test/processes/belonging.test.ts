import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { makeStoreOwnership } from '../../src/processes/ownership/store-ownership.js';
import { holdOf, makeNamespaceClaim } from '../../src/processes/ownership/namespace-claim.js';
import { patienceMs } from '../../src/processes/ownership/namespace-id.js';
import {
  findStoreOwner,
  type Deployment,
  type HomeStore,
} from '../../src/processes/ownership/store-owner.js';
import { areSameHomes, type TemporalHome } from '../../src/store/processes/temporal-home.js';

// Whose a store is, and what a deployment takes of it: each case, without a Temporal and without a store.

const home = (namespace: string, namespaceId: string, taskQueue = 'q'): TemporalHome => ({
  namespace,
  namespaceId,
  taskQueue,
  address: 'here:1',
});

type Id = string | null | 'late' | Error;

/** What Temporal has by namespace: an id, none, no answer, an error. */
const temporal =
  (ids: Readonly<Record<string, Id>>) =>
  (namespace: string): Promise<string | null> => {
    const id = ids[namespace] ?? null;
    if (id instanceof Error) return Promise.reject(id);
    return id === 'late' ? new Promise(() => undefined) : Promise.resolve(id);
  };

interface Store extends HomeStore {
  rows: TemporalHome[];
}

/** A store in memory, of which others may take something as soon as it has been looked at. */
function memory(
  rows: TemporalHome[],
  keys: readonly string[] = [],
  afterLook = (): void => undefined,
): Store {
  const store: Store = {
    rows,
    homes: () => {
      const seen = [...store.rows];
      afterLook();
      return Promise.resolve(seen);
    },
    hasSigningKey: (keyId) => Promise.resolve(keys.includes(keyId)),
    identity: () => Promise.resolve('own'),
    take: (mine, take, seen) => {
      const at = store.rows.find(({ namespace }) => namespace === mine.namespace);
      if (take === 'where free') {
        if (!areSameHomes(store.rows, seen)) return Promise.resolve('changed');
        if (at === undefined) store.rows = [...store.rows, mine];
      }
      if (take === 'always') store.rows = [...store.rows.filter((one) => one !== at), mine];
      return Promise.resolve(store.rows.find(({ namespace }) => namespace === mine.namespace) ?? null);
    },
  };
  return store;
}

const deployment = (given: Partial<Deployment>): Deployment => ({
  store: memory([]),
  address: 'here:1',
  signingKey: 'stranger',
  taskQueue: 'q',
  namespaceId: temporal({}),
  queueHolder: (_namespace, own) => Promise.resolve(own),
  ownTemporal: false,
  alone: false,
  ...given,
});

const down = new Error('unavailable');

describe('whose a store is', () => {
  const both = [home('a', 'id-a'), home('b', 'id-b')];
  const cases: readonly [
    name: string,
    given: Partial<Deployment>,
    ids: Readonly<Record<string, Id>>,
    is: 'ours' | 'unknown' | 'foreign',
    says?: RegExp,
  ][] = [
    ['ours where it has no home yet', { store: memory([]) }, { a: down }, 'ours'],
    ['ours where nobody else can have come to it', { alone: true }, { a: 'id-x', b: 'id-x' }, 'ours'],
    ['ours where all of its namespaces are', {}, { a: 'id-a', b: 'id-b' }, 'ours'],
    ['ours where one of them is, and another is not there', {}, { a: null, b: 'id-b' }, 'ours'],
    ['ours where one of them is, and another is another Temporal’s', {}, { a: 'id-x', b: 'id-b' }, 'ours'],
    ['ours where one of them is, and of another Temporal does not say', {}, { a: down, b: 'id-b' }, 'ours'],
    [
      'another’s on another task queue',
      { taskQueue: 'r' },
      { a: 'id-a' },
      'foreign',
      /task queue `q`.+says `r`/,
    ],
    [
      'another’s where a namespace is another Temporal’s and another is not there',
      {},
      { a: null, b: 'id-x' },
      'foreign',
      /namespace `b` has the id `id-b`.+where it has `id-x`/,
    ],
    [
      'another’s where a namespace is another Temporal’s, whatever is not said of others',
      {},
      { a: down, b: 'id-x' },
      'foreign',
      /where it has `id-x`/,
    ],
    [
      'another’s where this Temporal has none of them',
      {},
      {},
      'foreign',
      /`a` has the id.+leads to one without it/,
    ],
    ['not known where Temporal says nothing', {}, { a: down, b: down }, 'unknown', /unavailable/],
    [
      'not known where it says nothing of one, and has no other',
      {},
      { a: null, b: down },
      'unknown',
      /unavailable/,
    ],
    [
      'not known where it was last met here and the signing key is another’s',
      { store: memory(both, ['ours']) },
      { a: down, b: down },
      'unknown',
    ],
    [
      'not known where the signing key is ours and it was last met elsewhere',
      { store: memory(both, ['stranger']), address: 'there:1' },
      { a: down, b: down },
      'unknown',
    ],
    [
      'ours where Temporal says nothing, it was last met here, and the signing key is ours',
      { store: memory(both, ['stranger']) },
      { a: down, b: null },
      'ours',
    ],
  ];
  for (const [name, given, ids, is, says] of cases)
    it(`is ${name}`, async () => {
      const one = deployment({ store: memory(both), ...given, namespaceId: temporal(ids) });
      const owner = await findStoreOwner(one);
      assert.equal(owner.status, is, JSON.stringify(owner));
      const text = owner.status === 'foreign' ? owner.message : owner.status === 'unknown' ? owner.why : '';
      assert.match(text, says ?? /^/);
    });

  it('is not known where Temporal gives no answer in time', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      const asked = findStoreOwner(
        deployment({ store: memory(both), namespaceId: temporal({ a: 'late', b: down }) }),
      );
      await Promise.resolve();
      await Promise.resolve();
      mock.timers.tick(patienceMs);
      assert.deepEqual(await asked, { status: 'unknown', why: `no answer within ${patienceMs} ms` });
    } finally {
      mock.timers.reset();
    }
  });

  it('is not said where the store does not answer', async () => {
    const store = { ...memory([]), homes: () => Promise.reject(new Error('store away')) };
    await assert.rejects(findStoreOwner(deployment({ store })), /store away/);
    await assert.rejects(
      makeNamespaceClaim(deployment({ store, namespaceId: temporal({ a: 'id-a' }) }))('a'),
      /store away/,
    );
  });
});

describe('what a process has had of a store', () => {
  const a = home('a', 'id-a');
  const b = home('b', 'id-b');
  it('is nothing, or had still, or lost with the first home that it lacks, for good', () => {
    assert.equal(holdOf('neverHad', [], [a]), 'neverHad');
    assert.equal(holdOf('neverHad', [a], [a, b]), 'has');
    assert.equal(holdOf('has', [a, b], [a]), 'lost');
    assert.equal(holdOf('has', [a], [home('a', 'id-x')]), 'lost');
    assert.equal(holdOf('has', [a], [home('a', 'id-a', 'r')]), 'lost');
    assert.equal(holdOf('lost', [a], [a]), 'lost');
    assert.equal(holdOf('lost', [], []), 'lost');
  });
});

describe('a claim', () => {
  const ids = temporal({ a: 'id-a', b: 'id-b' });
  const claimed = async (given: Partial<Deployment>, namespace = 'a'): Promise<string> => {
    const found = await makeNamespaceClaim(deployment({ namespaceId: ids, ...given }))(namespace);
    return found.status === 'foreign' ? found.message : found.status;
  };

  it('takes what is nobody’s, and with it another namespace of its own Temporal', async () => {
    const store = memory([]);
    const claim = makeNamespaceClaim(deployment({ store, namespaceId: ids }));
    assert.deepEqual(await claim('a'), { status: 'ours' });
    assert.deepEqual(await claim('b'), { status: 'ours' });
    assert.deepEqual(store.rows, [home('a', 'id-a'), home('b', 'id-b')]);
  });

  it('takes nothing of a namespace that is not there', async () => {
    const store = memory([]);
    assert.equal(await claimed({ store }, 'none'), 'absent');
    assert.deepEqual(store.rows, []);
  });

  it('takes no further namespace of a store that is another’s, or of which that is not known', async () => {
    for (const [rows, given, is] of [
      [[home('x', 'id-x')], { namespaceId: temporal({ a: 'id-a', x: 'id-y' }) }, /belongs to another/],
      [[home('x', 'id-x')], { namespaceId: ids }, /belongs to another/],
      [[home('x', 'id-x')], { namespaceId: temporal({ a: 'id-a', x: down }) }, /^unknown$/],
      [[home('x', 'id-x', 'r')], { namespaceId: ids }, /task queue `r`/],
      [[home('a', 'id-x')], { namespaceId: ids }, /where it has `id-a`/],
    ] as const) {
      const store = memory([...rows]);
      assert.match(await claimed({ store, ...given }), is);
      assert.deepEqual(store.rows, rows);
    }
  });

  it('takes the store only once the task queue is its own', async () => {
    for (const [holder, is] of [
      ['other', /whose store is `other`/],
      [null, /does not say whose its task queue is/],
    ] as const) {
      const store = memory([]);
      const asked = claimed({ store, queueHolder: () => Promise.resolve(holder) });
      assert.match(await asked.catch(String), is);
      assert.deepEqual(store.rows, []);
    }
    await assert.rejects(claimed({ queueHolder: () => Promise.reject(down) }), /unavailable/);
  });

  it('that another deployment has come before, though it was not seen, takes nothing', async () => {
    const store = memory([], [], () => {
      if (store.rows.length === 0) store.rows = [home('x', 'id-x')];
    });
    assert.match(await claimed({ store }), /belongs to another deployment/);
    assert.deepEqual(store.rows, [home('x', 'id-x')]);
    let count = 0;
    const restless = memory([], [], () => {
      restless.rows = [home('b', 'id-b'), ...(count++ % 2 === 0 ? [home('c', 'id-c')] : [])];
    });
    await assert.rejects(claimed({ store: restless }), /others give the store homes/);
  });

  it('takes nothing more once what the process had was given away', async () => {
    const store = memory([]);
    const takes: string[] = [];
    const queueHolder: Deployment['queueHolder'] = (_namespace, own, take) => {
      takes.push(take);
      return Promise.resolve(own);
    };
    const claim = makeNamespaceClaim(deployment({ store, namespaceId: ids, queueHolder }));
    assert.deepEqual(await claim('a'), { status: 'ours' });
    store.rows = [];
    for (const namespace of ['a', 'b', 'a'])
      assert.match(JSON.stringify(await claim(namespace)), /was given to another deployment/);
    assert.deepEqual(takes, ['where free', 'never', 'never', 'never']);
    assert.deepEqual(store.rows, []);
  });

  it('takes whatever there is for a store and a Temporal of one folder', async () => {
    const store = memory([home('a', 'id-x', 'r')]);
    assert.equal(await claimed({ store, alone: true }), 'ours');
    assert.deepEqual(store.rows, [home('a', 'id-a')]);
    const takes: string[] = [];
    const queueHolder: Deployment['queueHolder'] = (_namespace, own, take) => {
      takes.push(take);
      return Promise.resolve(own);
    };
    assert.equal(await claimed({ queueHolder, ownTemporal: true }), 'ours');
    assert.deepEqual(takes, ['always']);
  });
});

describe('what a process may do with a store', () => {
  it('is nothing once its namespace is gone, however lately it was its own', async () => {
    const has: Record<string, Id> = { a: 'id-a' };
    const one = makeStoreOwnership(
      deployment({ namespaceId: (namespace) => temporal(has)(namespace) }),
      () => undefined,
    );
    assert.equal(await one.isOurs('a'), true);
    has['a'] = null;
    assert.equal(await one.isOurs('a', 'now'), false);
    has['a'] = down;
    await assert.rejects(one.isOurs('a'), /unavailable/);
  });

  it('is taken as a whole: said of the first namespace that is another’s, and of none where Temporal is silent', async () => {
    const told: string[] = [];
    const take = (ids: Readonly<Record<string, Id>>, rows: TemporalHome[], names: readonly string[]) =>
      makeStoreOwnership(deployment({ store: memory(rows), namespaceId: temporal(ids) }), (text) =>
        told.push(text),
      ).take(names);
    const mine = [home('a', 'id-a')];
    assert.deepEqual(await take({ a: 'id-a' }, [], ['none', 'a']), { status: 'ours' });
    assert.equal((await take({ a: 'id-a' }, [...mine, home('b', 'id-x')], ['a', 'b'])).status, 'ours');
    assert.equal(
      (await take({ a: 'id-a', b: 'id-b' }, [...mine, home('b', 'id-x')], ['a', 'b'])).status,
      'foreign',
    );
    assert.equal((await take({ a: 'id-x' }, mine, [])).status, 'foreign');
    assert.deepEqual(await take({ a: down }, [], ['a']), { status: 'unknown', why: 'unavailable' });
    assert.deepEqual(told, []);
  });

  it('is no more than was seen to be nobody’s, where the claim was late and another deployment came', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      let answer = (_id: string): void => undefined;
      const late = new Promise<string>((resolve) => (answer = resolve));
      const store = memory([]);
      const namespaceId = (namespace: string) => (namespace === 'a' ? late : Promise.resolve(null));
      const one = makeStoreOwnership(deployment({ store, namespaceId }), () => undefined);
      const taken = one.take(['a']);
      for (let turns = 0; turns < 10; turns += 1) await Promise.resolve();
      mock.timers.tick(patienceMs);
      assert.deepEqual(await taken, { status: 'unknown', why: `no answer within ${patienceMs} ms` });
      store.rows = [home('x', 'id-x')];
      answer('id-a');
      assert.equal(await one.isOurs('a', 'now'), false);
      assert.deepEqual(store.rows, [home('x', 'id-x')]);
    } finally {
      mock.timers.reset();
    }
  });
});
