import { whenStopping } from '../../model/when-stopping.js';
import type { Reply } from './call.js';

/** How long a request may go on after the process was told to stop. Whatever it waits for, its caller is answered by then. */
const lastMs = 5_000;

/** The reply, or `cut` where the process was told to stop and there is none `lastMs` later. `stopping`: aborted when it was told. */
export function unlessStopped(
  stopping: AbortSignal,
  reply: Promise<Reply>,
  cut: () => Reply,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const stop = (): void => {
      timer = setTimeout(() => resolve(cut()), lastMs);
    };
    const unlisten = whenStopping(stopping, stop);
    if (stopping.aborted) stop();
    const end = (): void => {
      clearTimeout(timer);
      unlisten();
    };
    void reply.then(resolve, reject).finally(end);
  });
}
