import type { SavedViewJson } from '../../model/contract/answer-types.js';
import type { JsonObject } from '../../model/values/json.js';
import {
  deleteView,
  getView,
  listViews,
  mostViews,
  putView,
  type ViewRow,
} from '../../store/approvals/views.js';
import type { Caller } from '../caller.js';
import { transact } from '../changes.js';
import { refuseCaller } from '../may.js';
import { invalid, notFound, type Refusal } from '../refusal.js';

// Saved inboxes: each person has their own.

export type SavedView = { readonly kind: 'view'; readonly body: SavedViewJson } | Refusal;

export async function listSavedViews(
  caller: Caller,
): Promise<{ readonly kind: 'views'; readonly views: readonly SavedViewJson[] } | Refusal> {
  const refused = refuseCaller(caller, 'listViews');
  if (refused !== null) return refused;
  const rows = await listViews(caller.deps.pool, caller.principal.id);
  return { kind: 'views', views: rows.map(viewJson) };
}

export async function readView(caller: Caller, name: string): Promise<SavedView> {
  const refused = refuseCaller(caller, 'getView');
  if (refused !== null) return refused;
  return loadView(caller, name);
}

async function loadView({ deps, principal }: Caller, name: string): Promise<SavedView> {
  const row = await getView(deps.pool, principal.id, name);
  return row === null ? notFound('view', name) : { kind: 'view', body: viewJson(row) };
}

export async function saveView(caller: Caller, name: string, query: JsonObject): Promise<SavedView> {
  const refused = refuseCaller(caller, 'saveView');
  if (refused !== null) return refused;
  const { principal } = caller;
  const isPut = await transact(caller, (tx) => putView(tx, { principal: principal.id, name, query }));
  if (isPut) return loadView(caller, name);
  return invalid(`there are ${mostViews} saved views already: delete one first`, [
    { pointer: '/params/name', message: `would be one more than ${mostViews}` },
  ]);
}

function viewJson({ name, query, updatedAt }: ViewRow): SavedViewJson {
  return { name, query, href: `/v1/approvals?view=${encodeURIComponent(name)}`, updatedAt };
}

/** Null: the view is deleted. */
export async function forgetView(caller: Caller, name: string): Promise<Refusal | null> {
  const refused = refuseCaller(caller, 'deleteView');
  if (refused !== null) return refused;
  const isGone = await transact(caller, (tx) => deleteView(tx, caller.principal.id, name));
  return isGone ? null : notFound('view', name);
}
