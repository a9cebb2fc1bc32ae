import type { ClientDeps } from '../../client/index.js';

// Open runs of which Temporal had no open workflow any more, or a workflow that no worker of ours served: each is reported to the operator, and counted.

const rememberedLosses = 1_000;

const happened = {
  gone: 'Temporal had no open workflow of it',
  foreign: 'its open workflow in Temporal was not ours, and was ended',
  paused: 'its workflow was paused in Temporal, and was ended',
  pinned: 'its workflow was pinned to other workers in Temporal, and was ended',
  elsewhere: "it is another deployment's, or may be, and is left to that",
} as const;

export interface LostWorkflows {
  readonly note: ClientDeps['onLostWorkflow'];
  /** How many there were since the process began, for `countersign_workflows_lost_total`. */
  readonly count: () => number;
}

export function makeLostWorkflows(log: (line: string) => void): LostWorkflows {
  // Several requests to a run at once may each find that its workflow is gone: that counts once.
  const losses = new Set<string>();
  let count = 0;
  return {
    note: ({ id, status, rev }, why) => {
      const loss = `${id} ${rev}`;
      if (losses.has(loss)) return;
      if (losses.size >= rememberedLosses) losses.clear();
      losses.add(loss);
      count += 1;
      const then =
        why === 'elsewhere'
          ? 'it is stuck here, and nothing is done of it'
          : `it has another one now, and ${rev === 0 ? 'begins' : 'is stuck until somebody retries or cancels it'}`;
      log(`run \`${id}\` is ${status}, and ${happened[why]}: ${then}`);
    },
    count: () => count,
  };
}
