import type { Leaf } from './json-leaves.js';

// Names whose values say where and how, and are no secrets: of a connection string, of a JSON credential, and of what stands
// behind `?` in an address. What has another name may be a secret, whatever it is called.

/** Capitals, blanks and dashes count for nothing in a name: `Data Source`, `data_source`, `dataSource`. */
function folded(name: string): string {
  return name.toLowerCase().replace(/[\s_.-]+/g, '');
}

function namesOf(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}

/** One of these says that a list is how to reach a database or a queue, and no header. */
const places = namesOf(`
  server host hostname hostaddr datasource address addr networkaddress endpoint driver provider database initialcatalog dsn
  accountname realm machine
`);

/** Their values are known to all, the path too. */
const publicAddresses = namesOf(`
  authuri authurl tokenuri tokenurl authproviderx509certurl clientx509certurl issuer
`);

/** As whom somebody connects. */
const users = namesOf(`
  user userid uid username login loginname email clientemail
`);

const settings = namesOf(`
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

/** Names that say of what their value is the secret. */
const secretNames = /key|secret|token|pass|pwd|credential|signature|session|sid$/i;

export function isSecretName(name: string): boolean {
  return secretNames.test(name);
}

/** In characters. Nobody knows a longer one, and each of its ends would be looked up. */
const longestName = 100;

/** The name, and its ends: `HOST` of `DB_HOST`, unless it says that its value is a secret. */
function isAmong(names: ReadonlySet<string>, name: string): boolean {
  if (name.length > longestName) return false;
  if (names.has(folded(name))) return true;
  const words = isSecretName(name) ? [] : name.split(/[._]/);
  return words.some((_, at) => names.has(folded(words.slice(at).join(''))));
}

export function isPlace(name: string): boolean {
  return isAmong(places, name);
}

export function isPublicAddress(name: string): boolean {
  return publicAddresses.has(folded(name));
}

export function isUser(name: string): boolean {
  return isAmong(users, name);
}

export function isSetting(name: string): boolean {
  return isPlace(name) || isPublicAddress(name) || isUser(name) || isAmong(settings, name);
}

/** A text of so many characters may be a secret under any name. */
const secretLength = 16;

/**
 * Which values of a list are told as they are, but for what stands in an address as a secret. A user is not that may be the
 * secret itself, or has a password behind it. A list of its own and a comment may hold anything; and where only the end of a
 * name is known, so may what no word is and no number.
 */
export function toldIn(list: readonly Leaf[]): (leaf: Leaf) => boolean {
  const mayBeUser = saysNoPassword(list);
  return ({ name, value }) =>
    isTold(name, value) && !(isUser(name) && (!oneUser.test(value) || (mayBeUser && isToken(bare(value)))));
}

/** With nothing else that a password may stand behind. */
const oneUser = /^["'{]?[\p{L}\p{N}._@+\\-]*["'}]?$/u;

/** A password in it is too short for one, or nothing else in it is long enough. */
function saysNoPassword(list: readonly Leaf[]): boolean {
  return !hasPassword(list) || list.some((one) => !isSetting(one.name) && isShortPassword(one));
}

/** What may be one, and is long enough for it. */
export function hasPassword(list: readonly Leaf[]): boolean {
  return list.some(({ name, value }) => !isSetting(name) && bare(value).length >= minLength);
}

/** An empty variable's line has no name: it may be base64. */
function isShortPassword({ name, value }: Leaf): boolean {
  if (name === '') return value.endsWith('=') && isSecretName(value);
  return isSecretName(name) && bare(value).length < minLength;
}

function bare(value: string): string {
  return value.replace(/^["'{]|["'}]$/g, '');
}

function isTold(name: string, value: string): boolean {
  if (!isSetting(name)) return false;
  if (/^https?:\/\/\S*$/i.test(value)) return true;
  if (value.length >= secretLength || /[=#;]|\s\/\/|^\[|^\{.*:|:.*@/s.test(value)) return false;
  return isKnown(name) || !(value.includes(':') || (/\d/.test(value) && /\p{L}/u.test(value)));
}

function isKnown(name: string): boolean {
  return [places, publicAddresses, users, settings].some((names) => names.has(folded(name)));
}

/** Words such as `invoices` or `v1` are none. */
export function isToken(text: string): boolean {
  return text.length >= 12 || (text.length >= 8 && /\d/.test(text));
}

/** Fewer characters are looked for nowhere: as a password they say nothing, and a user beside them may be the secret. */
export const minLength = 6;

/** Without a password the user is the secret, beside one that says nothing it may be, and a long one is anywhere. */
export function userSecrets(user: string, password: string): string[] {
  const isSecret =
    password === '' || user.length >= secretLength || (password.length < minLength && isToken(user));
  return isSecret ? [user] : [];
}
