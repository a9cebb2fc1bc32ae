import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Json } from '../model/json.js';
import { isObject } from '../model/json.js';
import { reservedVariables, type Connection } from '../model/policy-set.js';
import type { ReferenceSource } from './types.js';

export type ResolvedConnection =
  | { readonly status: 'resolved'; readonly connection: Connection; readonly redact: Redactor }
  /** Names the reference, never a value. */
  | { readonly status: 'missing'; readonly message: string };

export interface Redactor {
  text(value: string): string;
  json(value: Json): Json;
}

type Found = { readonly value: string; readonly secret: string | null } | { readonly missing: string };

const secretName = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const maxSecretBytes = 65_536;

export function processReferences(): ReferenceSource {
  return { env: process.env, secretsDirectory: process.env['COUNTERSIGN_SECRETS'] || null };
}

/** Resolves every `env://NAME` and `secret://name` of a connection. Called at use, for one call. */
export async function resolveConnectionReferences(
  connection: Connection | null,
  source: ReferenceSource,
): Promise<
  | { status: 'resolved'; connection: Connection | null; redact: Redactor }
  | Extract<ResolvedConnection, { status: 'missing' }>
> {
  const secrets: string[] = [];
  const problems: string[] = [];
  const value = async (text: string): Promise<string> => {
    const found = await lookUp(text, source);
    if ('missing' in found) {
      problems.push(found.missing);
      return '';
    }
    if (found.secret !== null) secrets.push(found.secret);
    return found.value;
  };
  const resolved = connection === null ? null : await resolveValues(connection, value);
  const problem = problems[0];
  if (problem !== undefined) return { status: 'missing', message: problem };
  return { status: 'resolved', connection: resolved, redact: makeRedactor(secrets) };
}

export type ResolvedTexts =
  | { readonly status: 'resolved'; readonly texts: readonly string[]; readonly redact: Redactor }
  | Extract<ResolvedConnection, { status: 'missing' }>;

/** Each a reference or a plain text. Of references, whatever they hold is taken for a secret. */
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
  return { status: 'resolved', texts: resolved, redact: makeRedactor(secrets) };
}

async function resolveValues(
  connection: Connection,
  value: (text: string) => Promise<string>,
): Promise<Connection> {
  switch (connection.kind) {
    case 'rest':
      return {
        ...connection,
        baseUrl: await value(connection.baseUrl),
        headers: await eachValue(connection.headers, value),
      };
    case 'cli':
      return { ...connection, env: await eachValue(connection.env, value) };
    case 'mcp': {
      const { transport } = connection;
      if (transport.kind === 'stdio') {
        return { kind: 'mcp', transport: { ...transport, env: await eachValue(transport.env, value) } };
      }
      const url = await value(transport.url);
      return {
        kind: 'mcp',
        transport: { ...transport, url, headers: await eachValue(transport.headers, value) },
      };
    }
  }
}

async function eachValue(
  record: Readonly<Record<string, string>>,
  value: (text: string) => Promise<string>,
): Promise<Record<string, string>> {
  const resolved: [string, string][] = [];
  for (const [key, text] of Object.entries(record)) resolved.push([key, await value(text)]);
  return Object.fromEntries(resolved);
}

async function lookUp(text: string, source: ReferenceSource): Promise<Found> {
  if (text.startsWith('env://')) return lookUpVariable(text, source);
  if (text.startsWith('secret://')) return lookUpSecret(text, source);
  return { value: text, secret: null };
}

function lookUpVariable(reference: string, source: ReferenceSource): Found {
  const name = reference.slice('env://'.length);
  if (reservedVariables.has(name)) {
    return {
      missing: `reference \`${reference}\` names a key of the service itself; use a variable of your own`,
    };
  }
  const value = Object.hasOwn(source.env, name) ? source.env[name] : undefined;
  if (value === undefined || value === '') {
    return {
      missing: `reference \`${reference}\` has no value; set that environment variable for the service`,
    };
  }
  // Most variables are settings (a port, a level); what is shorter than a credential is not worth hiding.
  return { value, secret: value.length >= 6 ? value : null };
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
    return {
      missing: `reference \`${reference}\` cannot be read; put one secret into a file of that name in COUNTERSIGN_SECRETS`,
    };
  }
  const value = bytes.toString('utf8').replace(/\r?\n$/, '');
  return { value, secret: value };
}

/** Hides resolved references in what a failure says: a service or a command may echo what it was given. */
function makeRedactor(secrets: readonly string[]): Redactor {
  const forms = secrets.flatMap((secret) => [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
    Buffer.from(secret).toString('base64'),
    // The credential of `Bearer <credential>` alone.
    ...secret.split(' ').filter((word) => word.length >= 6),
  ]);
  const hidden = [...new Set(forms)].filter((form) => form !== '').sort((a, b) => b.length - a.length);
  const text = (value: string): string =>
    hidden.reduce((shown, form) => shown.replaceAll(form, '[redacted]'), value);
  const json = (value: Json): Json => {
    if (typeof value === 'string') return text(value);
    if (Array.isArray(value)) return value.map(json);
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [text(key), json(item)]));
  };
  return { text, json };
}
