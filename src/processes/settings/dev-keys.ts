import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { newId } from '../../model/names/ids.js';
import { builtInPermissions, type PrincipalKind } from '../../model/principal.js';
import type { ServiceChain } from '../../audit/index.js';
import { hashApiKey, newApiKey } from '../../auth/index.js';
import { storeTime, type Pool, type Tx } from '../../db/index.js';
import { findKeyByHash, insertKey, insertPrincipal, revokeKey } from '../../store/people/keys.js';

interface DevKey {
  readonly kind: PrincipalKind;
  readonly permissions: readonly string[];
  readonly roles: readonly string[];
}

const human = (permissions: readonly string[], roles: readonly string[] = []): DevKey => ({
  kind: 'human',
  permissions: ['flow.read', ...permissions],
  roles,
});

/** The principals of docs/spec/api.md, "Principals". */
const devKeys: Readonly<Record<string, DevKey>> = {
  agent: { kind: 'agent', permissions: ['flow.read', 'run.start'], roles: [] },
  employee: human(['run.start']),
  manager: human(['run.start', 'run.read', 'approval.decide', 'expense.approve.manager']),
  finance: human(
    ['run.start', 'run.read', 'approval.decide', 'expense.approve.finance'],
    ['finance.controller'],
  ),
  auditor: human(['run.read', 'audit.read']),
  admin: human(builtInPermissions.filter((name) => name !== 'approval.decide' && name !== 'flow.read')),
};

export interface DevKeysDeps {
  readonly pool: Pool;
  readonly transaction: <T>(fn: (tx: Tx) => Promise<T>) => Promise<T>;
  readonly chain: ServiceChain;
  readonly pepper: Buffer;
  readonly home: string;
}

const file = z.record(z.string(), z.string());

/** Writes the development keys to `home`/dev-keys.json: keeps those that are still valid, and makes the others anew. */
export async function ensureDevKeys(deps: DevKeysDeps): Promise<void> {
  const path = join(deps.home, 'dev-keys.json');
  const known = readKeys(path);
  const keys: Record<string, string> = {};
  for (const [name, wanted] of Object.entries(devKeys))
    keys[name] = await ensureKey(deps, name, wanted, known[name]);
  const text = `${JSON.stringify(keys, null, 2)}\n`;
  const draft = `${path}.${process.pid}`;
  mkdirSync(deps.home, { recursive: true });
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, path);
}

function readKeys(path: string): Readonly<Record<string, string>> {
  try {
    const parsed = file.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    return parsed.success ? parsed.data : {};
  } catch {
    return {};
  }
}

async function ensureKey(
  deps: DevKeysDeps,
  name: string,
  wanted: DevKey,
  key: string | undefined,
): Promise<string> {
  const row = key === undefined ? null : await findKeyByHash(deps.pool, hashApiKey(deps.pepper, key));
  if (key !== undefined && row !== null && row.revokedAt === null && row.principalId === name) {
    if (hasSameNames(row.permissions, wanted.permissions) && hasSameNames(row.roles, wanted.roles))
      return key;
    await revokeKey(deps.pool, row.keyId);
  }
  return makeKey(deps, name, wanted);
}

function hasSameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}

async function makeKey(deps: DevKeysDeps, id: string, { kind, roles, permissions }: DevKey): Promise<string> {
  const key = newApiKey();
  const keyId = newId('key');
  await deps.transaction(async (tx) => {
    const principal = await insertPrincipal(tx, { id, kind });
    if (principal.status !== 'ok')
      throw new Error(
        `the development key \`${id}\` cannot be made: ${
          principal.status === 'kind_conflict'
            ? `that principal is of kind ${principal.kind}`
            : `\`${principal.known}\` is known here, which is the same name in another spelling`
        }`,
      );
    const hash = hashApiKey(deps.pepper, key);
    await insertKey(tx, {
      keyId,
      hash,
      principalId: id,
      roles,
      permissions,
      expiresAt: null,
      createdBy: 'countersign',
    });
    const data = { keyId, principal: id, kind, roles, permissions, development: 'true' };
    const time = await storeTime(tx);
    await deps.chain.appendIn(tx, [
      {
        key: `key.created:${keyId}`,
        type: 'key.created',
        time,
        actor: { kind: 'runtime', id: 'countersign' },
        data,
      },
    ]);
  });
  return key;
}
