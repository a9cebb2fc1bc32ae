import type { AuditItem } from '../../audit/index.js';
import type { Pool } from '../../db/index.js';
import type { Principal } from '../../model/principal.js';
import { viewerOf, filterVisible } from '../../store/runs/visibility.js';
import type { Turns } from '../seats.js';

/** Which records a principal may see: those of runs that it may see, and all with `audit.read`. */
export interface Sights {
  visible(principal: Principal, items: readonly AuditItem[]): Promise<readonly AuditItem[]>;
  /** To be called with every new record: some of them change who may see a run. */
  changed(items: readonly AuditItem[]): void;
  /** Forgets all remembered answers. */
  forget(): void;
}

/** How many answers are remembered, yes and no alike; when there are more, all are forgotten. */
const mostKnown = 100_000;

export function makeSights({ pool, turns }: { readonly pool: Pool; readonly turns: Turns }): Sights {
  /** By run, then by viewer. */
  const known = new Map<string, Map<string, boolean>>();
  let size = 0;
  /** Rises with each change: an answer that was asked for before a change is not remembered. */
  let changes = 0;
  const forgetAll = (): void => {
    known.clear();
    size = 0;
  };
  const remember = (run: string, viewer: string, sees: boolean): void => {
    if (size >= mostKnown) forgetAll();
    const ofRun = known.get(run) ?? new Map<string, boolean>();
    known.set(run, ofRun);
    if (!ofRun.has(viewer)) size += 1;
    ofRun.set(viewer, sees);
  };
  return {
    forget: () => {
      changes += 1;
      forgetAll();
    },
    visible: async (principal, items) => {
      if (principal.permissions.includes('audit.read')) return items;
      const viewer = viewerOf(principal);
      const key = JSON.stringify(viewer);
      const runs = [...new Set(items.map(runOf))].filter((run) => run !== '');
      const sees = new Map(runs.map((run) => [run, known.get(run)?.get(key)] as const));
      const unknown = runs.filter((run) => sees.get(run) === undefined);
      if (unknown.length > 0) {
        const before = changes;
        const visible = await turns(() => filterVisible(pool, viewer, unknown));
        for (const run of unknown) {
          sees.set(run, visible.has(run));
          if (changes === before) remember(run, key, visible.has(run));
        }
      }
      return items.filter((item) => sees.get(runOf(item)) === true);
    },
    changed: (items) => {
      for (const item of items) {
        if (item.type === 'policy.reloaded') forgetAll();
        else if (item.type.includes('approval.')) {
          const run = runOf(item);
          size -= known.get(run)?.size ?? 0;
          known.delete(run);
        } else continue;
        changes += 1;
      }
    },
  };
}

export function runOf(item: AuditItem): string {
  return item.run === '' ? item.about : item.run;
}
