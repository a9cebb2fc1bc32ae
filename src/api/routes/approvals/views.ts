import { z } from 'zod';
import type { SavedViewJson } from '../../../model/contract/answer-types.js';
import * as api from '../../../model/contract/api.js';
import * as inbox from '../../../model/contract/api-inbox-answers.js';
import type { JsonObject } from '../../../model/values/json.js';
import {
  forgetView,
  listSavedViews,
  readView,
  saveView,
  type SavedView,
} from '../../../service/inbox/views.js';
import type { Refusal } from '../../../service/refusal.js';
import { answer, callerOf, jsonBody, route, type Answer, type Route } from '../../http/call.js';

const oneView = {
  tag: 'Approvals',
  path: '/v1/approvals/views/{name}',
  params: z.object({ name: api.shortText }),
  query: api.noQuery,
};

export const viewRoutes: readonly Route[] = [
  route({
    id: 'listViews',
    method: 'GET',
    path: '/v1/approvals/views',
    tag: 'Approvals',
    summary: "The caller's saved inboxes",
    params: z.object({}),
    query: api.noQuery,
    answers: { 200: { description: 'by name', schema: inbox.savedViews } },
    handle: async (call) => {
      const found = await listSavedViews(callerOf(call));
      return found.kind === 'refusal' ? found : answer(200, { data: found.views });
    },
  }),
  route({
    ...oneView,
    id: 'getView',
    method: 'GET',
    summary: 'One saved inbox; `GET /v1/approvals?view=` uses it',
    answers: { 200: { description: 'the view', schema: inbox.savedView } },
    handle: async (call, { params }) => reply(await readView(callerOf(call), params.name)),
  }),
  route({
    ...oneView,
    id: 'saveView',
    method: 'PUT',
    summary: 'Save filters and order under a name',
    body: jsonBody(api.viewBody),
    answers: { 200: { description: 'the view', schema: inbox.savedView } },
    handle: async (call, { params, body }) =>
      reply(await saveView(callerOf(call), params.name, body as JsonObject)),
  }),
  route({
    ...oneView,
    id: 'deleteView',
    method: 'DELETE',
    summary: 'Forget a saved inbox',
    answers: { 204: { description: 'forgotten' } },
    handle: async (call, { params }) => (await forgetView(callerOf(call), params.name)) ?? answer(204),
  }),
];

function reply(view: SavedView): Answer<200, SavedViewJson> | Refusal {
  return view.kind === 'refusal' ? view : answer(200, view.body);
}
