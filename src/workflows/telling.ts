import {
  proxySinks,
  workflowInfo,
  type Sinks,
  type WorkflowInterceptors,
  type WorkflowOutboundCallsInterceptor,
} from '@temporalio/workflow';

// The replay check is told what the kernel asks Temporal for, since Temporal's own replay compares the order of commands
// and not what is in them. A worker of runs is told nothing: its workflows have no interceptor.

/** What the replay check calls its worker. */
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
