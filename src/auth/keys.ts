import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { chmod, link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

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
 * first process that needs a file makes it, which `onMade` is told; any number of processes may do so at once. Throws `UnusableKey`.
 */
export async function loadKeys(
  home: string,
  env: NodeJS.ProcessEnv,
  onMade: (path: string) => void = () => undefined,
): Promise<ServiceKeys> {
  const find = <T>(
    {
      variable,
      file,
      make,
    }: { readonly variable: string; readonly file: string; readonly make: () => string },
    parse: (text: string) => T,
  ): (() => Promise<T>) => {
    const given = env[variable];
    if (given === undefined || given === '')
      return async () =>
        parse(await readOrMakeKey({ path: join(home, 'keys', file), variable }, make, onMade));
    const key = parse(given);
    return () => Promise.resolve(key);
  };
  const findSecret = (variable: string, file: string): (() => Promise<Buffer>) =>
    find({ variable, file, make: makeSecret }, (text) => parseSecret(text, variable, file));
  // Those that were given are read here, so that no file is made beside one that cannot be used.
  const findSigning = find(
    { variable: 'COUNTERSIGN_SIGNING_KEY', file: 'signing.pem', make: makeSigningPem },
    importSigningKey,
  );
  const findPepper = findSecret('COUNTERSIGN_PEPPER', 'pepper');
  const findKek = findSecret('COUNTERSIGN_KEK', 'kek');
  const [signing, pepper, kek] = await Promise.all([findSigning(), findPepper(), findKek()]);
  return { signing, pepper, kek };
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
  const privateKey = parsePrivateKey(unquoted(text));
  if (privateKey?.asymmetricKeyType !== 'ed25519') {
    throw new UnusableKey(
      'COUNTERSIGN_SIGNING_KEY (or keys/signing.pem) is not an Ed25519 private key in PKCS #8: give PEM or base64 DER, the one that was used before, or in a new deployment what `openssl genpkey -algorithm ed25519` makes',
    );
  }
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return { keyId: keyIdOf(der), privateKey, publicKey: der.toString('base64') };
}

/** Without quotes around the whole, which `docker run --env-file` keeps. */
function unquoted(text: string): string {
  const trimmed = text.trim();
  return /^(["'])(.*)\1$/s.exec(trimmed)?.[2]?.trim() ?? trimmed;
}

/** Is it nothing but base64, of either alphabet, padded or not, in lines or not? Node's decoder passes over or ends at all else. */
function isBase64(text: string): boolean {
  return /^[\w+/-]*=*$/.test(text.replaceAll(/\s/g, ''));
}

/** A block of PEM with nothing behind it, of which OpenSSL says nothing. */
const onlyBlock = /^-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\s*$/;

/** Reads PEM, also indented, or with line breaks written as `\n`, `\r\n` or spaces as container platforms do, or base64 DER. */
function parsePrivateKey(text: string): KeyObject | null {
  try {
    if (text.startsWith('-----')) {
      const pem = text.replaceAll(/[ \t]*(?:\r?\n|(?:\\r)?\\n)[ \t]*|(?<=-----) +| +(?=-----)/g, '\n');
      return onlyBlock.test(pem) ? createPrivateKey(pem) : null;
    }
    const key = Buffer.from(text, 'base64');
    // The second byte of such a DER is how many come behind it. Node passes over what comes behind those.
    const isOnly = isBase64(text) && key[1] === key.length - 2;
    return isOnly ? createPrivateKey({ key, format: 'der', type: 'pkcs8' }) : null;
  } catch {
    return null;
  }
}

function parseSecret(text: string, variable: string, file: string): Buffer {
  const given = unquoted(text);
  const inOneLine = given.replaceAll(/\s/g, '');
  const bytes = Buffer.from(inOneLine, /^[0-9a-f]{64}$/i.test(inOneLine) ? 'hex' : 'base64');
  const isWhole = bytes.length === secretBytes;
  if (isWhole && isBase64(given)) return bytes;
  const instead = isWhole ? 'with nothing else beside them' : `not ${bytes.length} bytes`;
  throw new UnusableKey(
    `${variable} must be ${secretBytes} bytes in base64 or hex, ${instead}: give the one that was used before, or in a new deployment what \`openssl rand -base64 ${secretBytes}\` makes; where it is not set, \`keys/${file}\` of the data folder is read`,
  );
}

interface KeyFile {
  readonly path: string;
  /** The variable that stands for it. */
  readonly variable: string;
}

/** What the file system's own words leave unsaid. */
const keyFileFaults: Readonly<Record<string, string>> = {
  EISDIR: 'it is a folder',
  EINVAL: 'it is no file, as a named pipe is none',
  ENOTDIR: 'the folder that it should be in is none',
  ENOENT: 'a link leads to nothing',
  ELOOP: 'a link leads to itself',
  EACCES: 'this process may not',
  EROFS: 'nothing can be written there',
};

function tellFault(error: unknown): string {
  const code = codeOf(error) ?? String(error);
  return Object.hasOwn(keyFileFaults, code) ? `${code}: ${keyFileFaults[code]}` : code;
}

function whyUnread({ path, variable }: KeyFile, error: unknown): string {
  return `the key file \`${path}\` cannot be read (${tellFault(error)}): see that it is a file that this process can read, with the key that was used before, or set ${variable} to that key; in a new deployment remove what is there, and a new key is made`;
}

/** Said by what was asked of the file system last: to make the folder, a file in it, or a second name of that file. */
function whyUnmade({ path, variable }: KeyFile, error: unknown): string {
  const folder = `\`${dirname(path)}\``;
  const [fault, mend] =
    syscallOf(error) === 'mkdir'
      ? [`the folder ${folder} cannot be made`, 'let this process make it']
      : syscallOf(error) === 'link'
        ? [`no hard link can be made in ${folder}`, 'have it on a file system with hard links']
        : [`no file can be written in ${folder}`, 'let this process write there'];
  return `there is no key file \`${path}\`, and it cannot be made, since ${fault} (${tellFault(error)}): put the key that was used before there (in a mounted secret, beside the others), or set ${variable} to it; in a new deployment ${mend}, or give a new key in one of these ways`;
}

async function readOrMakeKey(
  file: KeyFile,
  make: () => string,
  onMade: (path: string) => void,
): Promise<string> {
  const unread = (error: unknown): never => {
    throw new UnusableKey(whyUnread(file, error));
  };
  const existing = await readIfThere(file.path).catch(unread);
  if (existing !== null) return existing;
  const isMade = await makeKeyFile(file.path, make()).catch((error: unknown) => {
    throw new UnusableKey(whyUnmade(file, error));
  });
  if (isMade) onMade(file.path);
  return readFile(file.path, 'utf8').catch(unread);
}

/** With its parents. Node's own `recursive` says of a file system that is read-only that something is not there. */
async function makeFolder(folder: string): Promise<void> {
  const parent = dirname(folder);
  const isMade = await makeOneFolder(folder, parent !== folder);
  if (isMade) return;
  await makeFolder(parent);
  await makeOneFolder(folder, false);
}

/** False, where that `mayLack`: its parent is not there. Another process or key may have made it meanwhile. */
async function makeOneFolder(folder: string, mayLack: boolean): Promise<boolean> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (mayLack && codeOf(error) === 'ENOENT') return false;
    if (codeOf(error) !== 'EEXIST') throw error;
  }
  return true;
}

/** False: another process has made it meanwhile. */
async function makeKeyFile(path: string, text: string): Promise<boolean> {
  const folder = dirname(path);
  await makeFolder(folder);
  // A folder that is another's, as a mounted one, keeps its rights: whether this process can use it is seen next.
  await chmod(folder, 0o700).catch(() => undefined);
  return createOnce(path, text);
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    const found = await stat(path);
    // To read a pipe is to wait for whoever writes to it.
    if (!found.isFile() && !found.isDirectory())
      throw Object.assign(new Error('no file'), { code: 'EINVAL' });
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Writes a draft and links it to the path, so that a process that comes second finds the first process's whole key. */
async function createOnce(path: string, text: string): Promise<boolean> {
  const draft = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
    await link(draft, path);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    return false;
  } finally {
    await file.close();
    await rm(draft, { force: true });
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function syscallOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).syscall;
}
