import * as restate from '@restatedev/restate-sdk';
import { effect } from './effect.js';

// start -> wait for approval -> one HTTP effect -> done, on Restate. Prints `waiting <id>` when a run begins to wait.

const [, , port, target] = process.argv;
if (port === undefined || target === undefined) throw new Error('two arguments');

// The SDK uses this function without asking for a version of Node; only Node 22 has it.
Promise.withResolvers ??= function withResolvers<T>(): PromiseWithResolvers<T> {
  let [resolve, reject] = [(_: T | PromiseLike<T>): void => undefined, (_?: unknown): void => undefined];
  const promise = new Promise<T>((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
};

const gate = restate.workflow({
  name: 'gate',
  handlers: {
    run: async (ctx: restate.WorkflowContext): Promise<string> => {
      process.stdout.write(`waiting ${ctx.key}\n`);
      const decision = await ctx.promise<string>('decision');
      if (decision === 'approve') await ctx.run('effect', () => effect(target, ctx.key));
      return decision;
    },
    decide: async (ctx: restate.WorkflowSharedContext, decision: string): Promise<void> => {
      await ctx.promise<string>('decision').resolve(decision);
    },
  },
  // By default a server has at most 1,000 invocations under way, and puts a waiting invocation aside only after a minute: ten
  // thousand would take ten minutes to park. An approval waits for hours, so it is put aside after a second.
  options: { inactivityTimeout: { seconds: 1 } },
});

await restate.serve({ port: Number(port), services: [gate] });
process.stdout.write('working\n');
