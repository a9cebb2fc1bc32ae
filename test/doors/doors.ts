import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { makeAuthenticator, makeJwtVerifier, parseJwtIssuers } from '../../src/auth/index.js';
import { run } from '../../src/cli/command.js';
import { makeLink } from '../../src/service/approvals/links/links.js';
import { startApi, type Harness } from '../api/harness.js';
import { references, signed, slackPolicy, startSlack, submitting } from '../notify/slack-stub.js';
import { byLink, formToken } from '../../testing/browser-forms.js';

// Every place where a person can decide, each as one function of the same shape.

export interface Parked {
  readonly id: string;
  readonly digest: string;
  readonly run: string;
}

export interface Person {
  readonly id: string;
  readonly key: string;
  readonly kind: 'human' | 'agent' | 'system';
  readonly roles: readonly string[];
}

export interface Told {
  readonly taken: boolean;
  readonly status: number;
  readonly text: string;
}

export interface Door {
  readonly name: string;
  /** Null: this person cannot come to this door at all (a program has no session, a key of a service no claim). */
  readonly decide: (who: Person, parked: Parked, digest?: string) => Promise<Told | null>;
}

export interface House {
  readonly api: Harness;
  readonly doors: readonly Door[];
  /** A token of a service that acts for this person. */
  readonly acting: (who: Person) => Promise<string>;
  stop(): Promise<void>;
}

const issuer = 'https://people.example';

export async function openHouse(): Promise<House> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' };
  const keys = createServer((_request, response) => response.end(JSON.stringify({ keys: [jwk] })));
  await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve));
  const jwksUri = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/jwks`;
  const issuers = parseJwtIssuers([
    {
      issuer,
      audience: 'countersign',
      jwksUri,
      kindClaim: 'kind',
      rolesClaim: 'roles',
      actors: ['helpdesk'],
    },
  ]);
  const slackStub = await startSlack();
  const api = await startApi((deps) => ({
    ...deps,
    references,
    authenticate: makeAuthenticator({
      pool: deps.pool,
      pepper: deps.pepper,
      verifyJwt: makeJwtVerifier(issuers, deps.now),
      policySet: deps.policies.policySet,
      now: deps.now,
    }),
  }));
  const acting = (who: Person): Promise<string> =>
    new SignJWT({ sub: who.id, kind: who.kind, roles: [...who.roles], act: { sub: 'helpdesk' } })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer(issuer)
      .setAudience('countersign')
      .setExpirationTime('5m')
      .sign(privateKey);
  return {
    api,
    acting,
    doors: [
      rest(api),
      callback(api, acting),
      batch(api),
      page(api),
      link(api),
      cli(api),
      slack(api, slackStub.api),
    ],
    stop: async () => {
      await slackStub.stop();
      keys.closeAllConnections();
      await new Promise((resolve) => keys.close(resolve));
      await api.stop();
    },
  };
}

function rest(api: Harness): Door {
  return {
    name: 'rest',
    decide: async ({ key }, { id, digest }, named = digest) => {
      const body = { decision: 'approve', digest: named };
      const { status, text } = await api.ask(key, 'POST', `/v1/approvals/${id}/decision`, body);
      return { taken: status === 200, status, text };
    },
  };
}

function cli(api: Harness): Door {
  return {
    name: 'cli',
    decide: async ({ key }, { id, digest }, named = digest) => {
      // It names the digest of what it has just read; another cannot be given to it.
      if (named !== digest) return null;
      const said: string[] = [];
      const say = (line: string): void => void said.push(line);
      const env = { COUNTERSIGN_HOME: api.home, COUNTERSIGN_URL: api.url, COUNTERSIGN_KEY: key };
      const code = await run(['approve', id, '--json'], { out: say, err: say, env });
      return { taken: code === 0, status: code, text: said.join('\n') };
    },
  };
}

function callback(api: Harness, acting: (who: Person) => Promise<string>): Door {
  return {
    name: 'callback',
    decide: async (who, { id, digest }, named = digest) => {
      const body = { decision: 'approve', digest: named };
      const { status, text } = await api.ask(await acting(who), 'POST', `/v1/approvals/${id}/decision`, body);
      return { taken: status === 200, status, text };
    },
  };
}

function batch(api: Harness): Door {
  return {
    name: 'batch',
    decide: async ({ key }, { id, digest }, named = digest) => {
      const body = { decisions: [{ approval: id, decision: 'approve', digest: named }], mode: 'each' };
      const dry = await api.ask(key, 'POST', '/v1/approvals/batch', { ...body, dryRun: true });
      const { token } = dry.body;
      if (token === undefined) return { taken: false, status: dry.status, text: dry.text };
      const done = await api.ask(key, 'POST', '/v1/approvals/batch', { ...body, dryRun: false, token });
      return { taken: done.body.results?.[0]?.status === 'applied', status: done.status, text: done.text };
    },
  };
}

async function post(
  api: Harness,
  path: string,
  fields: Record<string, string>,
  cookie = '',
): Promise<Response> {
  const body = new URLSearchParams(fields);
  return fetch(`${api.url}${path}`, { method: 'POST', redirect: 'manual', body, headers: { cookie } });
}

function page(api: Harness): Door {
  return {
    name: 'page',
    decide: async ({ key }, { id, digest }, named = digest) => {
      const path = `/approvals/${id}`;
      const signedIn = await post(api, '/sign-in', { credential: key, next: path });
      if (signedIn.status !== 303)
        return { taken: false, status: signedIn.status, text: await signedIn.text() };
      const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
      const shown = await (await fetch(`${api.url}${path}`, { headers: { cookie } })).text();
      const token = formToken({ text: shown });
      const answer = await post(api, path, { decision: 'approve', digest: named, token, reason: '' }, cookie);
      // Who may not decide finds no form on the page, and why; what is sent without it is refused.
      const text = `${token === '' ? shown : ''}${await answer.text()}`;
      return { taken: answer.status === 200, status: answer.status, text };
    },
  };
}

function link(api: Harness): Door {
  return {
    name: 'link',
    decide: async ({ id: recipient }, { id, digest }, named = digest) => {
      const { token } = await makeLink(api.deps.pool, api.deps.pepper, {
        ...{ approval: id, recipient, createdBy: 'test' },
        expiresAt: new Date(Date.now() + 60_000).toISOString(),
      });
      const fields = { decision: 'approve', digest: named, ...byLink, reason: '' };
      const answer = await post(api, `/links/${token}`, fields);
      return { taken: answer.status === 200, status: answer.status, text: await answer.text() };
    },
  };
}

function slack(api: Harness, url: string): Door {
  const users: Record<string, string> = {};
  return {
    name: 'slack',
    decide: async ({ id: person }, { id, digest }, named = digest) => {
      const user = `U${person.toUpperCase().replaceAll(/[^A-Z0-9]/g, '')}`;
      users[user] = person;
      writeFileSync(join(api.home, 'policies', 'notifications.yaml'), slackPolicy(url, users));
      await api.ask('admin', 'POST', '/v1/policies/reload');
      const metadata = { approval: id, digest: named, decision: 'approve' };
      const { body, headers } = signed(submitting(user, metadata));
      const answer = await api.ask(null, 'POST', '/slack/interactions', body, headers);
      return { taken: answer.body?.response_action === 'update', status: answer.status, text: answer.text };
    },
  };
}
