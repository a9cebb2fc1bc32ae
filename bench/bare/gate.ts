import {
  condition,
  defineSignal,
  proxyActivities,
  proxySinks,
  setHandler,
  type Sinks,
} from '@temporalio/workflow';

export interface GateActivities {
  effect(): Promise<void>;
}

export interface GateSinks extends Sinks {
  told: { waiting(): void };
}

export const decideSignal = defineSignal<[decision: string]>('decide');

const { effect } = proxyActivities<GateActivities>({ startToCloseTimeout: '30s' });
const { told } = proxySinks<GateSinks>();

/** start -> wait for approval -> one HTTP effect -> done. */
export async function gate(): Promise<void> {
  let decision: string | null = null;
  setHandler(decideSignal, (given) => {
    decision = given;
  });
  told.waiting();
  await condition(() => decision !== null);
  if (decision === 'approve') await effect();
}
