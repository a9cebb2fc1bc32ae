import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { insist, type Person, type Told } from './caller.js';

// The queue `desk`, and the reload that takes the clerk out of it.

export interface Desk {
  /** One race at a time has the policies, and they are as they were when it ends. */
  alone<T>(race: () => Promise<T>): Promise<T>;
  /** Takes the clerk out. */
  narrow(): Promise<Told>;
  /** How long the last reload took, milliseconds. */
  readonly lastMs: number;
}

const wide = 'roles: [finance.controller, finance.clerk]';
const narrowed = 'roles: [finance.controller]';

export function makeDesk(policies: string, operator: Person): Desk {
  const path = join(policies, 'roles.yaml');
  const whole = readFileSync(path, 'utf8');
  if (!whole.includes(wide)) throw new Error(`\`${path}\` has no queue with \`${wide}\``);
  let lastMs = 300;
  let last: Promise<unknown> = Promise.resolve();
  const reload = async (text: string): Promise<Told> => {
    writeFileSync(path, text);
    const told = await insist(() => operator.post('/v1/policies/reload', {}));
    lastMs = told.answeredAt - told.sentAt;
    return told;
  };
  const restore = async (): Promise<void> => {
    const { reply } = await reload(whole);
    if (reply.status !== 200) throw new Error(`the desk was not restored: ${JSON.stringify(reply)}`);
  };
  return {
    get lastMs() {
      return lastMs;
    },
    narrow: () => reload(whole.replace(wide, narrowed)),
    alone: (race) => {
      const mine = last.then(async () => {
        try {
          return await race();
        } finally {
          await restore();
        }
      });
      last = mine.catch(() => undefined);
      return mine;
    },
  };
}
