import type { Principal } from '../../model/principal.js';
import type { Queryable, Values } from '../../db/index.js';
import { withoutNul } from '../text.js';

/**
 * Who looks. A run is visible to the principal that started it, to holders of `run.read` or `audit.read`, and to those whose roles let
 * them decide one of its approvals, open or closed, or who have decided one (docs/spec/api.md).
 */
export interface Viewer {
  readonly id: string;
  readonly roles: readonly string[];
  readonly all: boolean;
  /** Is a human with `approval.decide`, who therefore sees approvals that name no role. */
  readonly decides: boolean;
}

export function viewerOf(principal: Principal): Viewer {
  const has = (permission: string): boolean => principal.permissions.includes(permission);
  const human = principal.kind === 'human';
  return {
    id: principal.id,
    // Among the roles, the empty name stands for the holders of `approval.decide`.
    roles: human
      ? [...principal.roles.filter((role) => role !== ''), ...(has('approval.decide') ? [''] : [])]
      : [],
    all: has('run.read') || has('audit.read'),
    decides: human && has('approval.decide'),
  };
}

/** An SQL condition on `run r`: the viewer may see the run. Takes four parameters from `$first` on, in the order of `viewerValues`. */
export function visibleRunCondition(first: number): string {
  const [all, id, roles, decides] = [first, first + 1, first + 2, first + 3].map((n) => `$${n}`);
  return `(${all}::boolean or r.started_by = ${id}
    or exists (select 1 from approval a where a.run = r.id and ((cardinality(a.roles) > 0 and a.roles && ${roles}::text[]) or (cardinality(a.roles) = 0 and ${decides}::boolean)))
    or exists (select 1 from decision d where d.run = r.id and d.by_id = ${id} and d.status <> 'refused'))`;
}

/** An SQL condition on an approval: the viewer's roles let it decide there, or the approval names no role and the viewer decides such. */
export function decidableCondition(alias: string, { roles, decides }: Viewer, name: Values['name']): string {
  const byRole = `${alias}.roles && ${name(roles.map(withoutNul))}::text[]`;
  return decides ? `(${byRole} or ${alias}.roles = '{}')` : byRole;
}

/**
 * The parts of `visibleRunCondition`, separately: a list queries with each of them by itself, so that each uses its index.
 */
export function visibilityConditions(viewer: Viewer, name: Values['name']): readonly string[] {
  if (viewer.all) return ['true'];
  const id = name(withoutNul(viewer.id));
  return [
    `r.started_by = ${id}`,
    `exists (select 1 from decision d where d.run = r.id and d.by_id = ${id} and d.status <> 'refused')`,
    ...(viewer.decides || viewer.roles.length > 0
      ? [`exists (select 1 from approval s where s.run = r.id and ${decidableCondition('s', viewer, name)})`]
      : []),
  ];
}

export function viewerValues(viewer: Viewer): readonly unknown[] {
  return [viewer.all, withoutNul(viewer.id), viewer.roles.map(withoutNul), viewer.decides];
}

/** The ids of those runs that the viewer may see. */
export async function filterVisible(
  q: Queryable,
  viewer: Viewer,
  runs: readonly string[],
): Promise<ReadonlySet<string>> {
  const { rows } = await q.query<{ id: string }>(
    `select r.id from run r where r.id = any($1::text[]) and ${visibleRunCondition(2)}`,
    [runs.map(withoutNul), ...viewerValues(viewer)],
  );
  return new Set(rows.map(({ id }) => id));
}
