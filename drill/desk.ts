import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { insist, type Person, type InsistResult } from './caller.js';

// The queue `desk`, and the policy reload that takes the clerk out of it.

export interface Desk {
  /** Runs one race at a time, since a race changes the policies. Restores them when the race has ended. */
  runAlone<T>(race: () => Promise<T>): Promise<T>;
  /** Reloads the policies with the clerk taken out of the queue. */
  narrow(): Promise<InsistResult>;
  /** How long the last reload and the last decision took. A race sends the two about as far apart, so that either may be first. */
  readonly pace: { reloadMs: number; decisionMs: number };
}

const wide = 'roles: [finance.controller, finance.clerk]';
const narrowed = 'roles: [finance.controller]';

export function makeDesk(policies: string, operator: Person): Desk {
  const path = join(policies, 'roles.yaml');
  const whole = readFileSync(path, 'utf8');
  if (!whole.includes(wide)) throw new Error(`\`${path}\` has no queue with \`${wide}\``);
  const pace = { reloadMs: 300, decisionMs: 300 };
  let last: Promise<unknown> = Promise.resolve();
  const reload = async (text: string): Promise<InsistResult> => {
    writeFileSync(path, text);
    const result = await insist(() => operator.post('/v1/policies/reload', {}));
    pace.reloadMs = result.answeredAt - result.sentAt;
    return result;
  };
  const restore = async (): Promise<void> => {
    const { reply } = await reload(whole);
    if (reply.status !== 200) throw new Error(`the desk was not restored: ${JSON.stringify(reply)}`);
  };
  return {
    pace,
    narrow: () => reload(whole.replace(wide, narrowed)),
    runAlone: (race) => {
      const thisRace = last.then(async () => {
        try {
          return await race();
        } finally {
          await restore();
        }
      });
      last = thisRace.catch(() => undefined);
      return thisRace;
    },
  };
}
