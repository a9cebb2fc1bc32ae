import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { chmod, link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

export interface SigningKey {
  /** `sha256:<hex>` of the public key's SPKI DER bytes. */
  readonly keyId: string;
  readonly privateKey: KeyObject;
  /** Base64 of SPKI DER, as the store keeps it. */
  readonly publicKey: string;
}

/** The service's secrets: whoever has them can act as the service. Never logged, never recorded. */
export interface ServiceKeys {
  readonly signing: SigningKey;
  /** HMAC key under which API keys are stored. */
  readonly pepper: Buffer;
  /** Key-encryption key of the payloads: 32 bytes. */
  readonly kek: Buffer;
}

/** A key that was given, or its file, cannot be used. The message says which, why, and what to do. */
export class UnusableKey extends Error {}

const secretBytes = 32;

/**
 * Loads the keys from COUNTERSIGN_SIGNING_KEY, COUNTERSIGN_PEPPER and COUNTERSIGN_KEK, else from files in `home`/keys. The
 * first process that needs a file makes it; any number of processes may do so at once. Throws `UnusableKey`.
 */
export async function loadKeys(home: string, env: NodeJS.ProcessEnv): Promise<ServiceKeys> {
  const folder = join(home, 'keys');
  const text = async (variable: string, file: string, make: () => string): Promise<string> => {
    const given = env[variable];
    if (given !== undefined && given !== '') return given;
    return readOrMakeKey(folder, file, make).catch((error: unknown) => {
      throw new UnusableKey(whyNoKeyFile(join(folder, file), variable, error));
    });
  };
  const [signing, pepper, kek] = await Promise.all([
    text('COUNTERSIGN_SIGNING_KEY', 'signing.pem', makeSigningPem),
    text('COUNTERSIGN_PEPPER', 'pepper', makeSecret),
    text('COUNTERSIGN_KEK', 'kek', makeSecret),
  ]);
  return {
    signing: importSigningKey(signing),
    pepper: parseSecret(pepper, 'COUNTERSIGN_PEPPER', 'pepper'),
    kek: parseSecret(kek, 'COUNTERSIGN_KEK', 'kek'),
  };
}

/** Imports a public key as the store keeps it. Null: it is no Ed25519 key, or `keyId` is the id of another key. */
export function importPublicKey({
  keyId,
  publicKey,
}: Pick<SigningKey, 'keyId' | 'publicKey'>): KeyObject | null {
  const der = Buffer.from(publicKey, 'base64');
  if (keyIdOf(der) !== keyId) return null;
  try {
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    return key.asymmetricKeyType === 'ed25519' ? key : null;
  } catch {
    return null;
  }
}

function keyIdOf(der: Buffer): string {
  return `sha256:${createHash('sha256').update(der).digest('hex')}`;
}

function makeSigningPem(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function makeSecret(): string {
  return `${randomBytes(secretBytes).toString('base64')}\n`;
}

export function importSigningKey(text: string): SigningKey {
  const privateKey = parsePrivateKey(text.trim());
  if (privateKey?.asymmetricKeyType !== 'ed25519') {
    throw new UnusableKey(
      'COUNTERSIGN_SIGNING_KEY (or keys/signing.pem) is not an Ed25519 private key in PKCS #8: give PEM or base64 DER, the one that was used before, or in a new deployment what `openssl genpkey -algorithm ed25519` makes',
    );
  }
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return { keyId: keyIdOf(der), privateKey, publicKey: der.toString('base64') };
}

/** Reads PEM, also with line breaks written as `\n` or as spaces as container platforms do, or base64 DER. */
function parsePrivateKey(text: string): KeyObject | null {
  try {
    if (text.startsWith('-----'))
      return createPrivateKey(text.replaceAll(/\\n|(?<=-----) +| +(?=-----)/g, '\n'));
    return createPrivateKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'pkcs8' });
  } catch {
    return null;
  }
}

function parseSecret(text: string, variable: string, file: string): Buffer {
  const trimmed = text.trim();
  const bytes = /^[0-9a-f]{64}$/i.test(trimmed)
    ? Buffer.from(trimmed, 'hex')
    : Buffer.from(trimmed, 'base64');
  if (bytes.length === secretBytes) return bytes;
  throw new UnusableKey(
    `${variable} must be ${secretBytes} bytes in base64 or hex, not ${bytes.length} bytes: give the one that was used before, or in a new deployment what \`openssl rand -base64 ${secretBytes}\` makes; where it is not set, \`keys/${file}\` of the data folder is read`,
  );
}

/** What the file system's own words leave unsaid. */
const keyFileFaults: Readonly<Record<string, string>> = {
  EISDIR: 'it is a folder',
  ENOTDIR: 'the folder that it should be in is none',
  ENOENT: 'a link leads to nothing',
  ELOOP: 'a link leads to itself',
  EACCES: 'this process may not',
};

function whyNoKeyFile(path: string, variable: string, error: unknown): string {
  const code = codeOf(error) ?? String(error);
  const fault = Object.hasOwn(keyFileFaults, code) ? `: ${keyFileFaults[code]}` : '';
  return `the key file \`${path}\` cannot be read or made (${code}${fault}): see that it is a file that this process can read, with the key that was used before, or set ${variable} to that key; in a new deployment remove what is there, and a new key is made`;
}

async function readOrMakeKey(folder: string, name: string, make: () => string): Promise<string> {
  const path = join(folder, name);
  const existing = await readIfThere(path);
  if (existing !== null) return existing;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  await createOnce(path, make());
  return readFile(path, 'utf8');
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Writes a draft and links it to the path, so that a process that comes second finds the first process's whole key. */
async function createOnce(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
    await link(draft, path);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    await file.close();
    await rm(draft, { force: true });
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
