import { z } from 'zod';
import type { ReadyJson } from '../../model/contract/answer-types.js';
import * as api from '../../model/contract/api.js';
import * as answers from '../../model/contract/api-answers.js';
import type { Principal } from '../../model/principal.js';
import { readReadiness } from '../../service/readiness.js';
import { answer, route, type Answer, type Call, type Route } from '../http/call.js';
import { docsPage, docsPolicy } from '../contract/docs.js';
import { openApi } from '../contract/openapi.js';

const open = {
  access: 'public',
  method: 'GET',
  tag: 'Operation',
  params: z.object({}),
  query: api.noQuery,
} as const;

/** Routes that need no credential and are not recorded. `contract`: all routes, for the OpenAPI document. */
export function operationRoutes(contract: () => readonly Route[]): readonly Route[] {
  return [...healthRoutes, ...documentRoutes(contract)];
}

const healthRoutes: readonly Route[] = [
  route({
    ...open,
    id: 'webhookKey',
    path: '/v1/notifications/key',
    summary: 'The Ed25519 key that webhooks of `signing: ed25519` are verified with',
    answers: { 200: { description: 'the public key', schema: answers.webhookKey } },
    handle: ({ deps }) => Promise.resolve(answer(200, { algorithm: 'ed25519', key: deps.webhookKey })),
  }),
  route({
    ...open,
    id: 'livez',
    path: '/livez',
    summary: 'This process answers',
    answers: { 200: { description: 'it does', schema: answers.live } },
    handle: (_call) => Promise.resolve(answer(200, { status: 'ok' })),
  }),
  route({
    ...open,
    id: 'readyz',
    path: '/readyz',
    summary: 'API, Postgres and Temporal answer; the body also says whether a worker does',
    answers: {
      200: { description: 'ready', schema: answers.ready },
      503: { description: 'not ready', schema: answers.ready },
    },
    handle: answerReadiness,
  }),
  route({
    ...open,
    id: 'metrics',
    path: '/metrics',
    summary: 'Prometheus metrics',
    answers: { 200: { description: 'metrics', media: 'text/plain' } },
    handle: async ({ deps }) => ({
      kind: 'answer',
      status: 200,
      body: await deps.metrics.text(),
      media: deps.metrics.media,
    }),
  }),
];

function documentRoutes(contract: () => readonly Route[]): readonly Route[] {
  return [
    route({
      ...open,
      id: 'openapi',
      path: '/openapi.json',
      summary: 'This contract, as OpenAPI 3.1',
      answers: { 200: { description: 'the document', media: 'application/json' } },
      handle: () => Promise.resolve(answer(200, openApi(contract()))),
    }),
    route({
      ...open,
      id: 'docs',
      path: '/docs',
      summary: 'This contract, to be read',
      answers: { 200: { description: 'a page', media: 'text/html' } },
      handle: () =>
        Promise.resolve({
          kind: 'answer',
          status: 200,
          body: docsPage(openApi(contract())),
          media: 'text/html; charset=utf-8',
          headers: { 'Content-Security-Policy': docsPolicy },
        }),
    }),
  ];
}

async function answerReadiness(call: Call): Promise<Answer<200 | 503, ReadyJson>> {
  const { isReady, body } = await readReadiness(call.deps, () => principalIfKnown(call));
  return answer(isReady ? 200 : 503, body);
}

/** Null: the caller sent no credential that is valid now, which is no failure here, and not on record. */
async function principalIfKnown({ deps, request }: Call): Promise<Principal | null> {
  const { authorization } = request.headers;
  if (authorization === undefined) return null;
  const caller = await deps.authenticate(authorization);
  return caller.status === 'ok' ? caller.principal : null;
}
