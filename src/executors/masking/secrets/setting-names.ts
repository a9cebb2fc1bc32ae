import type { Leaf } from './json-leaves.js';

// Names whose values say where and how to connect, and are no secrets: in a connection string, a JSON credential, or the query of
// an address. A value with any other name may be a secret.

/** Capitals, blanks, dots, dashes and underscores do not count in a name: `Data Source`, `data_source`, `dataSource`. */
function foldName(name: string): string {
  return name.toLowerCase().replace(/[\s_.-]+/g, '');
}

function namesOf(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}

/** A list with one of these names says how to reach a server, and is no header. */
const serverNames = namesOf(`
  server host hostname hostaddr datasource address addr networkaddress endpoint driver provider database initialcatalog dsn
  accountname realm machine
`);

/** Names of addresses that are public, path and all. */
const publicAddresses = namesOf(`
  authuri authurl tokenuri tokenurl authproviderx509certurl clientx509certurl issuer
`);

/** Names of users. */
const userNames = namesOf(`
  user userid uid username login loginname email clientemail
`);

const otherNames = namesOf(`
  db dbname databasename catalog schema port protocol instance service servicename failoverpartner replicaset virtualhost vhost
  accountendpoint blobendpoint queueendpoint tableendpoint fileendpoint endpointsuffix defaultendpointsprotocol entitypath
  role encrypt trustservercertificate trustedconnection integratedsecurity persistsecurityinfo ssl tls sslmode usessl encryption
  timeout connecttimeout connectiontimeout commandtimeout logintimeout sockettimeout querytimeout keepalive keepalives heartbeat
  pooling poolsize maxpoolsize minpoolsize connectionlifetime enlist packetsize retrywrites readpreference transporttype
  multipleactiveresultsets marsconnection multisubnetfailover applicationintent targetsessionattrs authsource authmechanism
  applicationname appname workstationid charset characterset encoding timezone language version compression dialect profile output
  type projectid clientid tokentype granttype universedomain tenantid tenant subscriptionid region environment scope scopes
  audience url uri baseurl baseuri kind format alg kty crv use expires expiresin expiresat expiry exp iat nbf created createdat
  name displayname title label description note comment
  sv sr sp se st spr srt ss
`);

/** Names that say that their value is a secret. */
const secretNames = /key|secret|token|pass|pwd|credential|signature|session|sid$/i;

export function isSecretName(name: string): boolean {
  return secretNames.test(name);
}

/** In characters. No known name is longer, and every end of a name is looked up. */
const longestName = 100;

/** Is the name, or an end of it, among these: `HOST` of `DB_HOST`? Ends are not tried where the name says that its value is a secret. */
function isAmong(names: ReadonlySet<string>, name: string): boolean {
  if (name.length > longestName) return false;
  if (names.has(foldName(name))) return true;
  const words = isSecretName(name) ? [] : name.split(/[._]/);
  return words.some((_, at) => names.has(foldName(words.slice(at).join(''))));
}

export function isServerName(name: string): boolean {
  return isAmong(serverNames, name);
}

export function isPublicAddress(name: string): boolean {
  return publicAddresses.has(foldName(name));
}

export function isUser(name: string): boolean {
  return isAmong(userNames, name);
}

export function isSetting(name: string): boolean {
  return isServerName(name) || isPublicAddress(name) || isUser(name) || isAmong(otherNames, name);
}

/** A text of this length may be a secret under any name. */
const secretLength = 16;

/**
 * Which values of a list are plain, so that only the secrets of addresses in them are masked. A user is not plain where it may be
 * the secret itself, or a password may follow it. A value that is a list itself, or a comment, may contain anything; and where
 * only the end of the name is known, so may a value that is neither a word nor a number.
 */
export function makeIsPlain(list: readonly Leaf[]): (leaf: Leaf) => boolean {
  const mayBeUser = saysNoPassword(list);
  return ({ name, value }) =>
    isPlainValue(name, value) &&
    !(isUser(name) && (!oneUser.test(value) || (mayBeUser && isToken(stripQuotes(value)))));
}

/** A user alone, without a separator behind which a password could follow. */
const oneUser = /^["'{]?[\p{L}\p{N}._@+\\-]*["'}]?$/u;

/** Does the list have no real password: a value named as one is too short, or no other value is long enough? */
function saysNoPassword(list: readonly Leaf[]): boolean {
  return !hasPassword(list) || list.some((leaf) => !isSetting(leaf.name) && isShortPassword(leaf));
}

/** Does the list have a value that may be a password, and is long enough to be one? */
export function hasPassword(list: readonly Leaf[]): boolean {
  return list.some(({ name, value }) => !isSetting(name) && stripQuotes(value).length >= minLength);
}

/** The line of an empty variable (`NAME=`) has no name, since it may be base64: the name is its value. */
function isShortPassword({ name, value }: Leaf): boolean {
  if (name === '') return value.endsWith('=') && isSecretName(value);
  return isSecretName(name) && stripQuotes(value).length < minLength;
}

function stripQuotes(value: string): string {
  return value.replace(/^["'{]|["'}]$/g, '');
}

function isPlainValue(name: string, value: string): boolean {
  if (!isSetting(name)) return false;
  if (/^https?:\/\/\S*$/i.test(value)) return true;
  if (value.length >= secretLength || /[=#;]|\s\/\/|^\[|^\{.*:|:.*@/s.test(value)) return false;
  return isKnown(name) || !(value.includes(':') || (/\d/.test(value) && /\p{L}/u.test(value)));
}

function isKnown(name: string): boolean {
  return [serverNames, publicAddresses, userNames, otherNames].some((names) => names.has(foldName(name)));
}

/** May the text be a token? Words such as `invoices` or `v1` are none. */
export function isToken(text: string): boolean {
  return text.length >= 12 || (text.length >= 8 && /\d/.test(text));
}

/** Shorter texts are not looked for: as a password they protect nothing, and the user beside them may be the secret. */
export const minLength = 6;

/** The user, where it is the secret: without a password, beside a password that is too short where the user may be a token, or where the user is long. */
export function userSecrets(user: string, password: string): string[] {
  const isSecret =
    password === '' || user.length >= secretLength || (password.length < minLength && isToken(user));
  return isSecret ? [user] : [];
}
