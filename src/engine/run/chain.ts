import { mostChainBytes, mostChainFacts } from '../../model/limits.js';
import type { Guard, Transition } from '../plan.js';
import type { Problem, RunState } from '../state.js';
import { readsOnRecord, record, type Draft } from './draft.js';
import { conditionsOf, evaluateGuard, type Evaluation } from '../guards.js';
import { blockedBy, blockRefusal, guardContext, type BlockRule } from '../links.js';
import { stick } from './stuck/stuck.js';
import type { Until } from './stuck/way-on.js';
import { chainMeter } from '../expression/meter.js';
import { isLeft } from '../effects/room.js';
import { countConditions, countStep, withFreshChain, type Work } from './work.js';

// Deterministic chains: steps that the runtime takes by itself.

/** Steps. In a chain without effects each step is a call inside that of the step before, so there are no more than a loader accepts. */
const longestChain = 500;

/**
 * The transition that the runtime takes next: the only one whose guards pass, else the one without guards. Null: the run is
 * stuck, and waits for an operator.
 */
export function chainStep(draft: Draft, transitions: readonly Transition[]): Transition | null {
  const { run } = draft;
  const tooLong = whyTooLong(draft);
  if (tooLong !== null) return stickChain(draft, { code: 'CHAIN_TOO_LONG', message: tooLong });
  const guarded = transitions
    .filter((transition) => transition.guards.length > 0)
    .map((transition) => ({ transition, ...askGuards(draft, transition) }));
  if (guarded.some((each) => each.verdict === 'late')) return stickLate(draft, transitions);
  const passing = guarded.filter((each) => each.verdict === 'pass');
  const fallback = transitions.filter((transition) => transition.guards.length === 0);
  const failed = guarded.find((each) => each.verdict === 'error');
  if (passing.length > 1 || (passing.length === 0 && fallback.length > 1)) {
    const names = (passing.length > 1 ? passing.map((each) => each.transition) : fallback)
      .map((transition) => `\`${transition.name}\``)
      .join(', ');
    const message = `several deterministic transitions of \`${run.state}\` apply: ${names}`;
    return stickChain(draft, { code: 'CHAIN_AMBIGUOUS', message });
  }
  const chosen = passing[0]?.transition ?? (failed === undefined ? fallback[0] : undefined);
  if (chosen === undefined) {
    const why = guarded.map((each) => `\`${each.transition.name}\`: ${each.reason}`).join('; ');
    const message = `no deterministic transition of \`${run.state}\` applies: ${why}`;
    return stickChain(draft, { code: 'CHAIN_NO_MATCH', message });
  }
  const rule = blockedBy(draft.plan, chosen, draft.kit);
  if (rule !== null) return stickBlocked(draft, chosen, rule);
  run.chainDepth += 1;
  record(draft, 'chain.step', {
    action: { transition: chosen.name },
    data: { from: run.state, depth: run.chainDepth },
  });
  countStep(draft.work);
  countConditions(draft.work, chosen.gates.length + chosen.branches.length);
  return chosen;
}

function stickChain(draft: Draft, problem: Problem, until?: Until): null {
  stick(draft, problem, { kind: 'chain', ...(until === undefined ? {} : { until }) });
  return null;
}

/** Why the chain may not go on; null: another step may be taken. */
function whyTooLong({ plan, run, work }: Draft): string | null {
  const longest = Math.min(plan.maxChainDepth, longestChain);
  if (run.chainDepth >= longest) return `the deterministic chain is longer than ${longest} steps`;
  return isLeft(work.chain) ? null : tooMuchText(run.chainDepth);
}

function tooMuchText(steps: number): string {
  return `after ${steps} steps the deterministic chain has read and written more than the ${mostChainBytes} bytes that it may at a time, or taken and asked more than ${mostChainFacts} steps and conditions: keep less in the context, or retry to go on`;
}

/** The chain's room is used up amid the conditions of a state. Where these are too much by themselves, a retry comes no further. */
function stickLate(draft: Draft, transitions: readonly Transition[]): null {
  const { state, chainDepth } = draft.run;
  const isTooMuchAlone = !fitsAlone(draft, transitions);
  const message = isTooMuchAlone
    ? `the conditions of the deterministic transitions of \`${state}\` compare more than the ${mostChainBytes} bytes that they may at a time, or are more than ${mostChainFacts}: have a version of the flow compare less of what the run carries, and start anew under it`
    : tooMuchText(chainDepth);
  return stickChain(draft, { code: 'CHAIN_TOO_LONG', message }, isTooMuchAlone ? 'never' : undefined);
}

/** Would the conditions of the state fit into the room of a chain that begins here, as after a retry? */
function fitsAlone({ run, work }: Draft, transitions: readonly Transition[]): boolean {
  const ask = makeChainAsking(run, withFreshChain(work));
  return transitions.every(({ guards }) => {
    for (const guard of guards) {
      const verdict = ask(guard)?.verdict;
      if (verdict !== 'pass') return verdict !== undefined;
    }
    return true;
  });
}

/** Evaluates guards in the room of the chain. Null: it is used up, which is checked at each guard: a state may have thousands of transitions. */
function makeChainAsking(run: RunState, work: Work): (guard: Guard) => Evaluation | null {
  const at = { ...guardContext(run, null, {}), meter: chainMeter(work) };
  return (guard) => {
    if (!isLeft(work.chain)) return null;
    countConditions(work, conditionsOf([guard]));
    const evaluation = evaluateGuard(guard, at);
    return evaluation.verdict === 'error' && !isLeft(work.chain) ? null : evaluation;
  };
}

/** The charter blocks a step of the runtime as it blocks a submit. */
function stickBlocked(draft: Draft, { name, tool }: Transition, rule: BlockRule): null {
  const { code, message } = blockRefusal(tool ?? name, rule);
  record(draft, 'policy.blocked', {
    action: { transition: name, ...(tool === null ? {} : { tool }) },
    policy: { rule, verdict: 'refused', reason: message },
    data: { code, rule },
  });
  return stickChain(draft, { code, message }, rule === 'environment' ? 'policies' : 'never');
}

function askGuards(
  draft: Draft,
  transition: Transition,
): { verdict: 'pass' | 'fail' | 'error' | 'late'; reason: string } {
  const ask = makeChainAsking(draft.run, draft.work);
  for (const [index, guard] of transition.guards.entries()) {
    const asked = ask(guard);
    if (asked === null) return { verdict: 'late', reason: '' };
    const { verdict, reason, reads } = asked;
    record(draft, 'guard.evaluated', {
      action: { transition: transition.name },
      policy: { rule: `guards/${index}`, verdict, reason },
      data: {
        index,
        kind: guard.kind,
        verdict,
        reason,
        reads: readsOnRecord(draft, reads),
      },
    });
    if (verdict !== 'pass') return { verdict, reason };
  }
  return { verdict: 'pass', reason: '' };
}
