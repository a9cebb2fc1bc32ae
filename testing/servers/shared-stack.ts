import { after } from 'node:test';
import type { Services } from '../services.js';
import { startShipped, type ShippedStack } from '../shipped.js';

export interface SharedStack {
  readonly stack: ShippedStack;
  readonly services: Services;
}

let shared: Promise<SharedStack> | null = null;

/**
 * Gives the stack with the shipped policies and the example services. All test files that call this run in one process and share
 * the stack (`scripts/test-plan.mjs`): they touch only their own runs, and kill, restart and reconfigure nothing.
 */
export function shareStack(): Promise<SharedStack> {
  shared ??= start();
  return shared;
}

async function start(): Promise<SharedStack> {
  const stack = await startShipped();
  return { services: stack.services, stack };
}

after(async () => {
  const { stack } = await shareStack();
  await stack.stop();
});
