import { condition, defineSignal, proxySinks, setHandler, type Sinks } from '@temporalio/workflow';

// A hand-written workflow of the benchmarks waits for a signal, and has its worker print that it waits.

export interface WaitingSinks extends Sinks {
  told: { waiting(): void };
}

const decideSignal = defineSignal<[decision: string]>('decide');
const { told } = proxySinks<WaitingSinks>();

export async function waitForDecision(): Promise<string> {
  let decision: string | null = null;
  setHandler(decideSignal, (given) => {
    decision = given;
  });
  told.waiting();
  await condition(() => decision !== null);
  return decision ?? '';
}
