import type { PrincipalKind } from '../../model/principal.js';
import { together, type Queryable } from '../../db/index.js';
import { withoutNul } from '../text.js';

// Who is known here, and with which rights. For people who are named by somebody else and have not signed in for this request.

export interface Credential {
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
}

export interface Person {
  readonly id: string;
  readonly kind: PrincipalKind;
  /** One for each key that is valid now, and one for the latest token, if it was seen lately. */
  readonly credentials: readonly Credential[];
}

/** For how many hours roles of a token count as still held. No decision is judged by them: see `mayDecide`. */
export const sightHours = 24;

/** Those of the people who are known. */
export async function findPeople(q: Queryable, ids: readonly string[]): Promise<Person[]> {
  if (ids.length === 0) return [];
  const asked = [ids.map(withoutNul)];
  const [people, credentials] = await together([
    q.query<Pick<Person, 'id' | 'kind'>>(
      'select id, kind from principal where id = any($1) order by id',
      asked,
    ),
    q.query<Credential & { readonly id: string }>(
      `select principal_id as id, roles, permissions from api_key
         where principal_id = any($1) and revoked_at is null and (expires_at is null or expires_at > now())
       union all select principal, roles, permissions from principal_sight
         where principal = any($1) and seen_at > now() - make_interval(hours => ${sightHours})`,
      asked,
    ),
  ]);
  return people.rows.map(({ id, kind }) => ({
    id,
    kind,
    credentials: credentials.rows
      .filter((credential) => credential.id === id)
      .map(({ roles, permissions }) => ({ roles, permissions })),
  }));
}

export interface HeldCredential extends Credential {
  readonly id: string;
  /** When the token was seen; null: the credential is a key, which is valid now. */
  readonly seenAt: string | null;
}

/** What these principals hold now, by their valid keys and by the last token of each. */
export async function credentialsOf(q: Queryable, ids: readonly string[]): Promise<HeldCredential[]> {
  const { rows } = await q.query<HeldCredential>(
    `select principal_id as id, roles, permissions, null::timestamptz as "seenAt" from api_key
       where principal_id = any($1) and revoked_at is null and (expires_at is null or expires_at > now())
     union all select principal, roles, permissions, seen_at from principal_sight where principal = any($1)`,
    [ids.map(withoutNul)],
  );
  return rows;
}

/** At most so many credentials are searched for possible deciders; with more credentials nobody is said to be missing. */
export const mostCredentials = 5_000;

/** The credentials of all known humans: valid keys, and tokens that were seen lately. */
export async function humanCredentials(q: Queryable): Promise<(Credential & { readonly id: string })[]> {
  const { rows } = await q.query<Credential & { readonly id: string }>(
    `select p.id, c.roles, c.permissions from principal p join (
       select principal_id as id, roles, permissions from api_key where revoked_at is null and (expires_at is null or expires_at > now())
       union all select principal, roles, permissions from principal_sight where seen_at > now() - make_interval(hours => ${sightHours})
     ) c on c.id = p.id where p.kind = 'human' limit ${mostCredentials}`,
  );
  return rows;
}

/** Notes the roles and permissions of a token that was seen now. */
export async function putSight(
  q: Queryable,
  { id, roles, permissions }: { readonly id: string } & Credential,
): Promise<void> {
  await q.query(
    `insert into principal_sight (principal, roles, permissions, seen_at) values ($1, $2, $3, now())
     on conflict (principal) do update set roles = excluded.roles, permissions = excluded.permissions, seen_at = excluded.seen_at`,
    [id, roles.map(withoutNul), permissions.map(withoutNul)],
  );
}
