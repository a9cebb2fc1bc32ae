import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeAtomically, type Say } from '../../embedded/process/system.js';
import { supervise, type Part, type Supervised } from '../supervisor.js';

/** In the order in which they start. Later stages need earlier stages, so they are stopped in the reverse order. */
const stages = ['servers', 'examples', 'product', 'agent'] as const;
type Stage = (typeof stages)[number];

/** All supervised parts, and the file that says which process is which. */
export interface ProcessGroup {
  add(stage: Stage, part: Part): Supervised;
  deaths(name: string): number;
  /** Starts the parts of these names anew; resolves when their old processes have ended. */
  restart(names: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

const recordedNames = new Set(['api', 'worker', 'temporal', 'postgres']);

export function makeProcessGroup(home: string, say: Say): ProcessGroup {
  const file = join(home, 'processes.json');
  const processes = new Map<string, { pid: number; port?: number }>([['up', { pid: process.pid }]]);
  const write = (): void => {
    writeAtomically(file, `${JSON.stringify(Object.fromEntries(processes), null, 2)}\n`);
  };
  const onChange = (part: Part, pid: number | null): void => {
    if (!recordedNames.has(part.name)) return;
    if (pid === null) processes.delete(part.name);
    else processes.set(part.name, { pid, ...(part.port === undefined ? {} : { port: part.port }) });
    write();
  };
  write();
  const parts: { stage: Stage; supervised: Supervised }[] = [];
  return {
    add(stage, part) {
      const supervised = supervise(part, { say, onChange });
      parts.push({ stage, supervised });
      return supervised;
    },
    deaths: (name) => parts.find(({ supervised }) => supervised.part.name === name)?.supervised.deaths() ?? 0,
    async restart(names) {
      const members = parts.filter(({ supervised }) => names.includes(supervised.part.name));
      await Promise.all(members.map(({ supervised }) => supervised.restart()));
    },
    async stop() {
      for (const stage of [...stages].reverse()) {
        const members = parts.filter((each) => each.stage === stage);
        await Promise.all(members.map(({ supervised }) => supervised.stop()));
      }
      rmSync(file, { force: true });
    },
  };
}
