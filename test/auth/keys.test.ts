import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it, mock } from 'node:test';
import { loadKeys } from '../../src/auth/keys.js';

/** The file system answers so from now on, until the test has ended. */
function failWith(syscall: 'chmod' | 'link' | 'mkdir' | 'open', code: string): void {
  mock.method(fs, syscall, () => Promise.reject(Object.assign(new Error(code), { code, syscall })));
  syncBuiltinESMExports();
}

describe('a key file that is not there', () => {
  let home: string;
  before(async () => {
    home = await fs.mkdtemp(join(tmpdir(), 'countersign-keys-'));
  });
  afterEach(() => {
    mock.restoreAll();
    syncBuiltinESMExports();
  });
  // Where one key cannot be made, the others may still be.
  after(() => fs.rm(home, { recursive: true, maxRetries: 10 }));

  it('is made in a folder that is another’s, and that this process may use', async () => {
    const folder = join(home, 'mounted', 'keys');
    await fs.mkdir(folder, { recursive: true, mode: 0o755 });
    failWith('chmod', 'EPERM');
    const made = await loadKeys(join(home, 'mounted'), {});
    assert.deepEqual((await loadKeys(join(home, 'mounted'), {})).kek, made.kek);
    assert.equal((await fs.stat(join(folder, 'kek'))).mode & 0o777, 0o600);
  });

  it('is made with all the folders that it is in, which are its user’s alone', async () => {
    const deep = join(home, 'not', 'there', 'yet');
    const made = await loadKeys(deep, {});
    assert.deepEqual((await loadKeys(deep, {})).kek, made.kek);
    for (const folder of [deep, join(deep, 'keys')])
      assert.equal((await fs.stat(folder)).mode & 0o777, 0o700);
  });

  it('and cannot be made is told with what failed and what to do, and nothing is left', async () => {
    let at = 0;
    const folders = (): string => join(home, `unmade-${(at += 1)}`);
    for (const [syscall, code, fault, mend] of [
      [
        ...(['mkdir', 'EACCES', 'the folder `KEYS` cannot be made (EACCES: this process may not)'] as const),
        'let this process make it',
      ],
      [
        ...([
          'open',
          'EROFS',
          'no file can be written in `KEYS` (EROFS: nothing can be written there)',
        ] as const),
        'let this process write there',
      ],
      [
        ...(['link', 'EPERM', 'no hard link can be made in `KEYS` (EPERM)'] as const),
        'have it on a file system with hard links',
      ],
    ] as const) {
      const folder = join(folders(), 'keys');
      failWith(syscall, code);
      await assert.rejects(
        loadKeys(join(folder, '..'), {
          COUNTERSIGN_KEK: 'ab'.repeat(32),
          COUNTERSIGN_PEPPER: 'cd'.repeat(32),
        }),
        {
          message: `there is no key file \`${folder}/signing.pem\`, and it cannot be made, since ${fault.replace('KEYS', folder)}: put the key that was used before there (in a mounted secret, beside the others), or set COUNTERSIGN_SIGNING_KEY to it; in a new deployment ${mend}, or give a new key in one of these ways`,
        },
      );
      mock.restoreAll();
      syncBuiltinESMExports();
      assert.deepEqual(await fs.readdir(folder).catch(() => []), []);
    }
  });
});

const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const body = pem.split('\n')[1] ?? '';
const secret = Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index));
const given = {
  COUNTERSIGN_SIGNING_KEY: pem,
  COUNTERSIGN_KEK: secret.toString('base64'),
  COUNTERSIGN_PEPPER: secret.toString('hex'),
};
const load = (env: object): ReturnType<typeof loadKeys> => loadKeys('/nowhere', { ...given, ...env });

describe('a key that is given', () => {
  it('is taken in every form in which a platform hands it over', async () => {
    const { signing } = await load({});
    for (const text of [
      ...[pem.replaceAll('\n', '\r\n'), pem.replaceAll('\n', '\\n'), pem.replaceAll('\n', '\\r\\n')],
      ...[
        pem.replaceAll('\n', ' '),
        pem.replace(/^/gm, '    '),
        pem.replace(/^/gm, '\t').replaceAll('\n', ' \r\n'),
      ],
      ...[body, `${body.slice(0, 40)}\n${body.slice(40)}\n`],
      body.replaceAll('+', '-').replaceAll('/', '_'),
    ])
      for (const quoted of [text, `"${text}"`, `'${text}'\n`])
        assert.equal((await load({ COUNTERSIGN_SIGNING_KEY: quoted })).signing.keyId, signing.keyId, quoted);
    const base64 = secret.toString('base64');
    for (const text of [
      ...[
        base64,
        base64.replace('=', ''),
        secret.toString('base64url'),
        `${base64.slice(0, 20)}\n ${base64.slice(20)}`,
      ],
      ...[secret.toString('hex'), secret.toString('hex').toUpperCase()],
      // As `xxd -p` writes it.
      `${secret.toString('hex').slice(0, 60)}\n${secret.toString('hex').slice(60)}\n`,
    ])
      for (const quoted of [text, `"${text}"`, ` '${text}' \n`]) {
        const { kek, pepper } = await load({ COUNTERSIGN_KEK: quoted, COUNTERSIGN_PEPPER: quoted });
        assert.deepEqual([kek, pepper], [secret, secret], quoted);
      }
  });

  it('is refused with anything beside it, as another key, and not shown', async () => {
    const base64 = secret.toString('base64');
    const bare = base64.replace('=', '');
    for (const text of [
      ...[`${base64},${base64}`, `${base64} ${base64}`, `${base64}${base64}`, `${base64}\\n`, `${base64};`],
      ...[`"${base64}`, `${base64}'`, `"${base64}'`, `,${base64}`, `${bare}.`, `""${base64}""`],
    ])
      for (const variable of ['COUNTERSIGN_KEK', 'COUNTERSIGN_PEPPER'])
        await assert.rejects(load({ [variable]: text }), ({ message }: Error) => {
          assert.ok(
            message.startsWith(
              `${variable} must be 32 bytes in base64 or hex, with nothing else beside them: give the one`,
            ),
            `${text}: ${message}`,
          );
          return !message.includes(bare);
        });
    for (const text of [
      ...[`${body},${body}`, `${body};`, `"${body}`, `${body}${body}`, `${body}\n${body}`, `${body}AAAA`],
      ...[`${pem}${pem}`, `${pem}${pem}`.replaceAll('\n', '\\n'), `${pem}hello`, `${pem}-----`],
    ])
      await assert.rejects(load({ COUNTERSIGN_SIGNING_KEY: text }), /is not an Ed25519 private key/, text);
  });
});
