import { resolve } from 'node:path';
import type { ConnectionOptions } from '@temporalio/client';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { z } from 'zod';
import { parseJwtIssuers, type JwtIssuer } from '../../auth/jwt.js';

const port = z
  .string()
  .regex(/^\d{1,5}$/, 'must be a port number')
  .transform(Number)
  .refine((value) => value <= 65_535, 'must be a port number, 65535 at most');

const flag = z.enum(['0', '1'], 'must be 0 or 1').transform((value) => value === '1');

const jwtIssuers = z.string().transform((text, context) => {
  try {
    return parseJwtIssuers(JSON.parse(text));
  } catch (error) {
    context.addIssue({
      code: 'custom',
      message: `is refused: ${error instanceof Error ? error.message : error}`,
    });
    return z.NEVER;
  }
});

/** What is said of a DATABASE_URL that has no `placeOf`. */
export const unreadableUrl =
  'cannot be read: it has one host, its port is at most 65535, and in a password or another value of it `%`, `#`, `/`, `?` and `@` are written `%25`, `%23`, `%2F`, `%3F` and `%40`';

/**
 * The server and the database of a DATABASE_URL, for a sentence: never its password. Null: it cannot be read, or is not read as it
 * is meant. That is so where a password's `#`, `/` or `?` is taken for the end of the host: then an `@` stands behind it.
 */
export function placeOf(text: string): string | null {
  try {
    // The URL of a socket may have a user and no host.
    const hasHost = URL.canParse(text);
    const url = new URL(hasHost ? text : text.replace('@/', '@socket/'));
    decodeURIComponent((url.username + url.password).replace(/%(?![0-9a-f]{2})/gi, '%25'));
    if (url.searchParams.getAll('port').some((given) => given !== '' && !port.safeParse(given).success))
      return null;
    const search = url.search.replace(/(?<=[?&])(user|password)=[^&]*/g, '');
    if ((url.pathname + search + url.hash).includes('@')) return null;
    const place = `${url.searchParams.get('host') || (hasHost ? url.host : '')}${url.pathname}`;
    return place === '' ? '' : ` (\`${place}\`)`;
  } catch {
    return null;
  }
}

/** Every variable that a process of ours reads, by name; empty counts as not set. */
const environment = z.object({
  COUNTERSIGN_HOME: z.string().default('.countersign'),
  COUNTERSIGN_POLICIES: z.string().default('policies'),
  COUNTERSIGN_SECRETS: z.string().optional(),
  // An address and no name: some shells export the machine's name as HOST, which does not mean to listen to the outside.
  HOST: z
    .string()
    .refine((text) => isIP(text) !== 0 || text === 'localhost', 'must be an IP address to listen on')
    .default('127.0.0.1'),
  PORT: port.optional(),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, {
      error: 'must be a URL like `postgres://user:password@host:5432/database`',
      abort: true,
    })
    .refine((text) => placeOf(text) !== null, unreadableUrl)
    .optional(),
  TEMPORAL_ADDRESS: z
    .string()
    .regex(/^[^\s/]+:\d+$/, 'must be host:port')
    .optional(),
  TEMPORAL_API_KEY: z.string().optional(),
  TEMPORAL_TLS: flag.optional(),
  TEMPORAL_TLS_CA: z.string().optional(),
  TEMPORAL_TLS_CERT: z.string().optional(),
  TEMPORAL_TLS_KEY: z.string().optional(),
  COUNTERSIGN_TASK_QUEUE: z.string().max(200, 'must be 200 characters at most').default('countersign'),
  COUNTERSIGN_SIGNING_KEY: z.string().optional(),
  COUNTERSIGN_KEK: z.string().optional(),
  COUNTERSIGN_PEPPER: z.string().optional(),
  COUNTERSIGN_JWT_ISSUERS: jwtIssuers.optional(),
  COUNTERSIGN_OWN_SERVERS: flag.default(false),
  COUNTERSIGN_OWN_TEMPORAL: flag.default(false),
  COUNTERSIGN_DEV_KEYS: flag.default(false),
});

type Environment = z.infer<typeof environment>;

export interface Config {
  /** Absolute. */
  readonly home: string;
  /** Absolute. */
  readonly policies: string;
  readonly secrets: string | null;
  readonly host: string;
  /** Null: the default, which may move to the next free port. */
  readonly port: number | null;
  readonly databaseUrl: string | null;
  /** Null: the supervisor's own server. */
  readonly temporal: (ConnectionOptions & { readonly address: string }) | null;
  readonly taskQueue: string;
  /** Postgres and Temporal are the supervisor's own, both of this data folder. */
  readonly ownServers: boolean;
  /** Temporal is of this data folder, wherever the database is. */
  readonly ownTemporal: boolean;
  /** A key from the environment; null: the file in `home`/keys is used. The same for `kek` and `pepper`. */
  readonly signingKey: string | null;
  readonly kek: string | null;
  readonly pepper: string | null;
  readonly jwtIssuers: readonly JwtIssuer[];
  /** Make development keys at boot, as `npm start` asks. */
  readonly devKeys: boolean;
}

export const defaultPort = 8_080;

export type ConfigResult =
  | { readonly status: 'read'; readonly config: Config }
  | { readonly status: 'invalid'; readonly errors: readonly string[] };

/** The only place where the environment is read. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): ConfigResult {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = environment.safeParse(given);
  if (!parsed.success) {
    const errors = parsed.error.issues.map((issue) => {
      const name = String(issue.path[0]);
      return `environment variable ${name} is ${show(name, given[name] ?? '')}: it ${issue.message}`;
    });
    return { status: 'invalid', errors };
  }
  const temporal = readTemporal(parsed.data);
  if (temporal.status === 'invalid') return temporal;
  return { status: 'read', config: toConfig(parsed.data, temporal.connection) };
}

/** Of the database nothing is shown: its password may stand anywhere in it. */
function show(name: string, text: string): string {
  if (name === 'DATABASE_URL') return 'refused, and not shown since it may hold a password';
  return `\`${text.replace(/^.*@/s, '…@')}\``;
}

/** The configuration; where it is wrong, says what is wrong and ends the process. For composition roots. */
export function readConfigOrExit(env: NodeJS.ProcessEnv = process.env): Config {
  const result = readConfig(env);
  if (result.status === 'read') return result.config;
  process.stderr.write(`${result.errors.join('\n')}\n`);
  process.exit(1);
}

/** The value of a setting that this process cannot do without; where it is not set, says so and ends the process. */
export function requireSetting<T>(value: T | null, variable: string): T {
  if (value !== null) return value;
  process.stderr.write(`environment variable ${variable} is not set: this process needs it\n`);
  process.exit(1);
}

function toConfig(values: Environment, temporal: Config['temporal']): Config {
  return {
    home: resolve(values.COUNTERSIGN_HOME),
    policies: resolve(values.COUNTERSIGN_POLICIES),
    secrets: values.COUNTERSIGN_SECRETS === undefined ? null : resolve(values.COUNTERSIGN_SECRETS),
    host: values.HOST,
    port: values.PORT ?? null,
    databaseUrl: values.DATABASE_URL ?? null,
    temporal,
    taskQueue: values.COUNTERSIGN_TASK_QUEUE,
    ownServers: values.COUNTERSIGN_OWN_SERVERS,
    ownTemporal: values.COUNTERSIGN_OWN_TEMPORAL,
    signingKey: values.COUNTERSIGN_SIGNING_KEY ?? null,
    kek: values.COUNTERSIGN_KEK ?? null,
    pepper: values.COUNTERSIGN_PEPPER ?? null,
    jwtIssuers: values.COUNTERSIGN_JWT_ISSUERS ?? [],
    devKeys: values.COUNTERSIGN_DEV_KEYS,
  };
}

/** What the file of each variable has to hold. */
const pemLabels = {
  TEMPORAL_TLS_CA: /-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/,
  TEMPORAL_TLS_CERT: /-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/,
  TEMPORAL_TLS_KEY: /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/,
} as const;
type PemVariable = keyof typeof pemLabels;

type PemResult =
  { readonly status: 'read'; readonly pem: Buffer } | { readonly status: 'invalid'; readonly error: string };

/** Shows nothing of the value: who takes the variable for the PEM itself has put a private key into it. */
function readPem(variable: PemVariable, path: string): PemResult {
  const what = variable === 'TEMPORAL_TLS_KEY' ? 'a private key' : 'a certificate';
  const toError = (why: string): PemResult => ({
    status: 'invalid',
    error: `environment variable ${variable} is refused, and not shown since it may hold a key: it must be the path to a PEM file with ${what} (${why}); put the PEM into a file that this process can read, and give its path`,
  });
  try {
    const pem = readFileSync(path);
    if (pemLabels[variable].test(pem.toString('latin1'))) return { status: 'read', pem };
    return toError('there is none in that file');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'no path';
    return toError(path.includes('-----BEGIN') ? 'it holds the PEM itself' : `reading it failed: ${code}`);
  }
}

type TemporalResult =
  | { readonly status: 'read'; readonly connection: Config['temporal'] }
  | { readonly status: 'invalid'; readonly errors: readonly string[] };

/** Reads the files only where a Temporal is given: other programs read variables of these names too. */
function readTemporal(values: Environment): TemporalResult {
  if (values.TEMPORAL_ADDRESS === undefined) return { status: 'read', connection: null };
  const errors: string[] = [];
  const read = (variable: PemVariable): Buffer | null => {
    const path = values[variable];
    if (path === undefined) return null;
    const result = readPem(variable, path);
    if (result.status === 'read') return result.pem;
    errors.push(result.error);
    return null;
  };
  const [ca, crt, key] = [read('TEMPORAL_TLS_CA'), read('TEMPORAL_TLS_CERT'), read('TEMPORAL_TLS_KEY')];
  const { TEMPORAL_TLS_CERT: certPath, TEMPORAL_TLS_KEY: keyPath } = values;
  if ((certPath === undefined) !== (keyPath === undefined)) {
    const [given, missing] = certPath === undefined ? ['KEY', 'CERT'] : ['CERT', 'KEY'];
    errors.push(
      `environment variable TEMPORAL_TLS_${given} is set and TEMPORAL_TLS_${missing} is not: set both, to the paths of the PEM files with a client's certificate and its key, or neither`,
    );
  }
  if (errors.length > 0) return { status: 'invalid', errors };
  const tls = {
    ...(ca === null ? {} : { serverRootCACertificate: ca }),
    ...(crt === null || key === null ? {} : { clientCertPair: { crt, key } }),
  };
  const wanted =
    values.TEMPORAL_TLS ?? (Object.keys(tls).length > 0 || values.TEMPORAL_API_KEY !== undefined);
  const connection = {
    address: values.TEMPORAL_ADDRESS,
    ...(wanted ? { tls } : {}),
    // The SDK takes a key for a wish for TLS, unless that is refused.
    ...(values.TEMPORAL_API_KEY === undefined
      ? {}
      : { apiKey: values.TEMPORAL_API_KEY, ...(wanted ? {} : { tls: false }) }),
  };
  return { status: 'read', connection };
}
