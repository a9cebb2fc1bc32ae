import { cpus, totalmem } from 'node:os';
import { rounded } from './measure.js';

/** Describes the machine that a measurement ran on. */
export function describeMachine(): object {
  const [first] = cpus();
  const memoryGb = rounded(totalmem() / 2 ** 30);
  return { cpus: cpus().length, model: first?.model ?? '', memoryGb, node: process.version };
}
