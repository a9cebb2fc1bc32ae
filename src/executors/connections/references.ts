import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  mostEnvironmentBytes,
  passedBytes,
  argumentTrouble,
  toAssignment,
} from '../../model/command-line.js';
import { reservedVariables, type Connection, type ConnectionEntry } from '../../model/policy-set.js';
import { makeMaskIn, type Mask } from '../masking/mask.js';
import { makeTurns } from '../../model/give-way.js';
import { requireConnectionKind } from '../find-kind.js';
import type { ReferenceSource } from '../types.js';
import { isHeaderValue } from '../values.js';

export type ResolvedConnection =
  | { readonly status: 'resolved'; readonly connection: Connection; readonly mask: Mask }
  /** `message` names the reference, never a value. */
  | { readonly status: 'missing'; readonly message: string };

type Found = { readonly value: string } | { readonly missing: string };
/** The header or the variable, by its name, that will carry the value. */
type Carrier = { readonly header: string } | { readonly variable: string };
type Resolve = (text: string, carrier?: Carrier) => Promise<string>;

const secretName = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const maxSecretBytes = 65_536;

export function processReferences(): ReferenceSource {
  return { env: process.env, secretsDirectory: process.env['COUNTERSIGN_SECRETS'] || null };
}

/**
 * Resolves every `env://NAME` and `secret://name` of a connection, for one call, when it is made. Values in headers and `env` are
 * masked in the answer. The address is not: approvers are shown it.
 */
export async function resolveConnectionReferences(
  connection: Connection | null,
  source: ReferenceSource,
): Promise<
  | { status: 'resolved'; connection: Connection | null; mask: Mask }
  | Extract<ResolvedConnection, { status: 'missing' }>
> {
  const secrets: string[] = [];
  const problems: string[] = [];
  const resolvePlain = async (text: string, carrier?: Carrier): Promise<string> => {
    const found = await lookUp(text, source);
    const problem = 'missing' in found ? found.missing : carrierProblem(text, found.value, carrier);
    if (problem === null && 'value' in found) return found.value;
    problems.push(problem ?? '');
    return '';
  };
  const resolveSecret = async (text: string, carrier?: Carrier): Promise<string> => {
    const value = await resolvePlain(text, carrier);
    if (value !== text) secrets.push(value);
    return value;
  };
  const resolved = connection === null ? null : await resolveValues(connection, resolvePlain, resolveSecret);
  const problem = problems[0] ?? environmentProblem(resolved);
  if (problem !== null) return { status: 'missing', message: problem };
  return { status: 'resolved', connection: resolved, mask: await makeMaskIn(makeTurns(), secrets) };
}

export type ResolvedTexts =
  | { readonly status: 'resolved'; readonly texts: readonly string[]; readonly mask: Mask }
  | Extract<ResolvedConnection, { status: 'missing' }>;

/** Resolves texts, each a reference or a plain text. The value of every reference counts as a secret. */
export async function resolveTexts(
  texts: readonly string[],
  source: ReferenceSource,
): Promise<ResolvedTexts> {
  const secrets: string[] = [];
  const resolved: string[] = [];
  for (const text of texts) {
    const found = await lookUp(text, source);
    if ('missing' in found) return { status: 'missing', message: found.missing };
    if (found.value !== text) secrets.push(found.value);
    resolved.push(found.value);
  }
  return { status: 'resolved', texts: resolved, mask: await makeMaskIn(makeTurns(), secrets) };
}

async function resolveValues(connection: Connection, plain: Resolve, secret: Resolve): Promise<Connection> {
  const kind = requireConnectionKind(connection.kind);
  const { address, headers, env } = kind.texts(connection);
  return kind.withTexts(connection, {
    address: address === null ? null : await plain(address),
    headers: await eachText(headers, (text, header) => secret(text, { header })),
    env: await eachText(env, (text, variable) => secret(text, { variable })),
  });
}

async function eachText(
  record: Readonly<Record<string, string>>,
  resolve: (text: string, name: string) => Promise<string>,
): Promise<Record<string, string>> {
  const resolved: [string, string][] = [];
  for (const [name, text] of Object.entries(record)) resolved.push([name, await resolve(text, name)]);
  return Object.fromEntries(resolved);
}

/** Why the header or the variable cannot carry the value of a reference, which the message names; null: it can, or the text is no reference. */
function carrierProblem(reference: string, value: string, carrier: Carrier | undefined): string | null {
  if (carrier === undefined || reference === value) return null;
  if ('variable' in carrier) {
    const trouble = argumentTrouble(toAssignment([carrier.variable, value]));
    return trouble === null
      ? null
      : `variable \`${carrier.variable}\`, with what reference \`${reference}\` holds, ${trouble}`;
  }
  if (isHeaderValue(value)) return null;
  return `reference \`${reference}\` holds a line break or a control character, which header \`${carrier.header}\` cannot carry; take it out of its value (two line ends at the end of a file are one too many)`;
}

/** Why all variables together are too long, though each alone may be passed; null: they are not. */
function environmentProblem(connection: Connection | null): string | null {
  if (connection === null) return null;
  const { env } = requireConnectionKind(connection.kind).texts(connection);
  const bytes = passedBytes(Object.entries(env).map(toAssignment));
  if (bytes <= mostEnvironmentBytes) return null;
  return `its environment takes ${bytes} bytes, and ${mostEnvironmentBytes} are the most; hand over less in \`env\``;
}

/** Why a reference has no value here; null: it has one, or the text is no reference. */
export async function whyUnset(text: string, source: ReferenceSource): Promise<string | null> {
  const found = await lookUp(text, source);
  return 'missing' in found ? found.missing : null;
}

export interface UnsetReference {
  readonly connection: string;
  readonly environment: string | null;
  readonly reference: string;
  readonly why: string;
}

/** The references of all connections that have no value in this process. A call over such a connection fails before anything is sent. */
export async function findUnsetReferences(
  connections: readonly ConnectionEntry[],
  source: ReferenceSource,
): Promise<readonly UnsetReference[]> {
  const unset: UnsetReference[] = [];
  for (const { name, targets } of connections)
    for (const { environment, connection } of targets)
      for (const reference of textsOf(connection)) {
        const why = await whyUnset(reference, source);
        if (why !== null) unset.push({ connection: name, environment, reference, why });
      }
  return unset;
}

/** The texts of a connection that may be references. */
function textsOf(connection: Connection): readonly string[] {
  const { address, headers, env } = requireConnectionKind(connection.kind).texts(connection);
  return [...(address === null ? [] : [address]), ...Object.values(headers), ...Object.values(env)];
}

async function lookUp(text: string, source: ReferenceSource): Promise<Found> {
  if (text.startsWith('env://')) return lookUpVariable(text, source);
  if (text.startsWith('secret://')) return lookUpSecret(text, source);
  return { value: text };
}

function lookUpVariable(reference: string, source: ReferenceSource): Found {
  const name = reference.slice('env://'.length);
  if (reservedVariables.has(name)) {
    return {
      missing: `reference \`${reference}\` names a key of the service itself; use a variable of your own`,
    };
  }
  const value = Object.hasOwn(source.env, name) ? source.env[name] : undefined;
  if (value === undefined || value.trim() === '') {
    return {
      missing: `reference \`${reference}\` has no value; set that environment variable for the service`,
    };
  }
  return { value };
}

function describeUnreadableSecret(reference: string): string {
  return `reference \`${reference}\` cannot be read; put one secret into a file of that name in COUNTERSIGN_SECRETS`;
}

async function lookUpSecret(reference: string, source: ReferenceSource): Promise<Found> {
  const name = reference.slice('secret://'.length);
  if (!secretName.test(name)) {
    return {
      missing: `reference \`${reference}\` is no secret name; use letters, digits, \`.\`, \`_\` and \`-\``,
    };
  }
  if (source.secretsDirectory === null) {
    return {
      missing: `reference \`${reference}\` cannot be read; set COUNTERSIGN_SECRETS to the folder of secrets`,
    };
  }
  const bytes = await readFile(join(source.secretsDirectory, name)).catch(() => null);
  if (bytes === null || bytes.length === 0 || bytes.length > maxSecretBytes) {
    return { missing: describeUnreadableSecret(reference) };
  }
  if (!isUtf8(bytes)) {
    return {
      missing: `reference \`${reference}\` is not UTF-8 in its file in COUNTERSIGN_SECRETS; write it in that`,
    };
  }
  // TextDecoder drops a byte order mark: editors write it, and it is no part of the secret.
  const value = new TextDecoder().decode(bytes).replace(/\r?\n$/, '');
  if (value.trim() === '')
    return {
      missing: `reference \`${reference}\` has no value: its file in COUNTERSIGN_SECRETS holds nothing but space`,
    };
  return { value };
}
