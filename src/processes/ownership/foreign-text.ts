import type { TemporalHome } from '../../store/processes/temporal-home.js';

// What an operator is told where a store or a task queue belongs to another deployment.

type Mine = Pick<TemporalHome, 'taskQueue'> & {
  /** Null: this Temporal has no such namespace. */
  readonly namespaceId: string | null;
};

/** `theirs`: a home of the store's runs that is not this deployment's; `mine`: what this deployment has instead. */
export function describeForeignStore(theirs: TemporalHome, mine: Mine): string {
  const what =
    theirs.taskQueue === mine.taskQueue
      ? `are in the Temporal whose namespace \`${theirs.namespace}\` has the id \`${theirs.namespaceId}\`, and TEMPORAL_ADDRESS leads to one ${mine.namespaceId === null ? 'without it' : `where it has \`${mine.namespaceId}\``}`
      : `are on the task queue \`${theirs.taskQueue}\` of Temporal, and COUNTERSIGN_TASK_QUEUE says \`${mine.taskQueue}\``;
  return `this store belongs to another deployment: its runs ${what}; nothing of them is touched. Give this process that deployment's settings, or a database of its own; where the deployment is to move here, stop all its processes and run \`countersign migrate --forget-temporal\` once`;
}

export function describeTakenQueue({ namespace, taskQueue }: TemporalHome, store: string): string {
  return `the task queue \`${taskQueue}\` of this Temporal (namespace \`${namespace}\`) belongs to another deployment, whose store is \`${store}\`: each would be given the other's runs. Give this one a task queue of its own (COUNTERSIGN_TASK_QUEUE); where the other one is gone, run \`countersign migrate --forget-temporal\` once`;
}

export const givenAwayText =
  'this store was given to another deployment (`countersign migrate --forget-temporal`) while this process worked with it: nothing is done here any more; stop this process';
