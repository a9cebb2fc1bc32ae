import {
  proxySinks,
  workflowInfo,
  type Sinks,
  type WorkflowInterceptors,
  type WorkflowOutboundCallsInterceptor,
} from '@temporalio/workflow';

// Tells the replay check what the kernel asks Temporal for, since Temporal's own replay compares the order of commands and not
// their contents. A worker of runs is told nothing: its workflows have no interceptor.

/** The name of the replay check's worker. Its task queue's name begins with it. */
export const replayCheck = 'countersign-replay-check';

export interface Telling extends Sinks {
  readonly kernel: {
    readonly startsTimer: (seq: number, ms: number) => void;
    readonly schedulesActivity: (seq: number, args: unknown[]) => void;
  };
}

const { kernel } = proxySinks<Telling>();

const tell: WorkflowOutboundCallsInterceptor = {
  startTimer: (input, next) => {
    kernel.startsTimer(input.seq, input.durationMs);
    return next(input);
  },
  scheduleActivity: (input, next) => {
    kernel.schedulesActivity(input.seq, input.args);
    return next(input);
  },
};

export function interceptors(): WorkflowInterceptors {
  return workflowInfo().taskQueue.startsWith(replayCheck) ? { outbound: [tell] } : {};
}
