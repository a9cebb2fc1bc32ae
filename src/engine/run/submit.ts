import { jsonTrouble, pointerTo, type JsonObject } from '../../model/values/json.js';
import type { Message } from '../../model/message.js';
import type { Principal } from '../../model/principal.js';
import type { Transition } from '../plan.js';
import { busyText, closedStatuses, type Refusal } from '../state.js';
import { actorOf, copyDraft, readsOnRecord, record, refuse, type Draft } from './draft.js';
import { makeAsking } from '../gates/asking.js';
import {
  actorAllows,
  blockedBy,
  blockRefusal,
  charterRule,
  findState,
  guardContext,
  takersOf,
} from '../links.js';
import { tooMuchOf } from '../effects/too-much.js';
import { take } from './flow.js';
import { wayOn } from './stuck/way-on.js';

type Submit = Extract<Message['body'], { kind: 'submit' }>;
type Said = Omit<Refusal, 'status'>;

/**
 * Checks a submit in the order of docs/spec/semantics.md §2, and takes it. Gives the draft to go on with. A refusal never changes
 * state, version or context: of a submit after which the runtime comes, before it calls anything, to what the run cannot carry or
 * to a call that can never be sent, nothing is kept.
 */
export function submit(draft: Draft, message: Message, body: Submit): Draft {
  const tool = findTransition(draft, body.transition)?.tool ?? null;
  record(draft, 'transition.requested', {
    actor: actorOf(message.principal),
    permission: 'run.start',
    causation: message.id,
    action: { transition: body.transition, ...(tool === null ? {} : { tool }) },
    refs: message.refs,
    data: {
      ...(body.expectedVersion === null ? {} : { expectedVersion: body.expectedVersion }),
      version: draft.run.version,
    },
  });
  const checked = check(draft, message, body);
  if ('code' in checked) return reject(draft, message, body, checked);
  draft.work.sound.add(checked.arguments);
  const tried = copyDraft(draft);
  tried.run.chainDepth = 0;
  tried.run.chain = [];
  take(tried, checked.transition, checked.arguments, message.principal, {
    messageId: message.id,
    refs: message.refs,
  });
  const tooMuch = refuseTooMuch(tried, body);
  return tooMuch === null ? tried : reject(draft, message, body, tooMuch);
}

/** Refuses a submit that leads to what the run cannot carry or send; null: it does not, or an effect begins before. */
function refuseTooMuch({ run, kit }: Draft, submitted: Submit): Said | null {
  const tooMuch = tooMuchOf(run, kit);
  if (tooMuch === null) return null;
  const { code, transition, where, message } = tooMuch;
  const leading = transition === submitted.transition ? '' : `it leads on to ${where}, where `;
  return { code, message: `\`${submitted.transition}\` cannot be taken: ${leading}${message}` };
}

function findTransition(draft: Draft, name: string): Transition | undefined {
  return findState(draft.plan, draft.run.state)?.transitions.find((transition) => transition.name === name);
}

function reject(draft: Draft, message: Message, body: Submit, said: Said): Draft {
  const blocked = said.code === 'BLOCKED';
  record(draft, blocked ? 'policy.blocked' : 'transition.rejected', {
    actor: actorOf(message.principal),
    causation: message.id,
    action: { transition: body.transition },
    policy: { rule: said.rule ?? said.code, verdict: 'refused', reason: said.message },
    data: { code: said.code, ...(said.rule === undefined ? {} : { rule: said.rule }) },
  });
  refuse(draft, message.id, said);
  return draft;
}

interface Admitted {
  readonly transition: Transition;
  readonly arguments: JsonObject;
}

function check(draft: Draft, message: Message, body: Submit): Said | Admitted {
  const early = runRefusal(draft, body.expectedVersion);
  if (early !== null) return early;
  const transition = findTransition(draft, body.transition);
  if (transition === undefined) return unknownTransition(draft, body.transition);
  if (!actorAllows(transition.actor, message.principal.kind)) {
    const takes = takersOf[transition.actor];
    return {
      code: 'ACTOR_MISMATCH',
      message: `\`${transition.name}\` is not for \`${message.principal.id}\` (${message.principal.kind}): ${takes}`,
    };
  }
  const input = checkInput(draft, transition, body.arguments);
  if ('code' in input) return input;
  return (
    policyRefusal(draft, message, transition, input.arguments) ?? { transition, arguments: input.arguments }
  );
}

/** The id of the message that asks, and for whom it asks. */
interface Asker {
  readonly id: string;
  readonly principal: Principal | null;
}

/** Why environment, charter or guards refuse the transition now; null: they do not. */
export function policyRefusal(
  draft: Draft,
  asker: Asker,
  transition: Transition,
  args: JsonObject,
): Said | null {
  const rule = blockedBy(draft.plan, transition, draft.kit);
  if (rule !== null) return blockRefusal(transition.tool ?? transition.name, rule);
  return checkGuards(draft, asker, transition, args);
}

function runRefusal(draft: Draft, expectedVersion: number | null): Said | null {
  const { run } = draft;
  const stale = expectedVersion !== null && expectedVersion !== run.version;
  if (closedStatuses.includes(run.status)) return { code: 'RUN_CLOSED', message: `the run is ${run.status}` };
  if (run.status === 'stuck')
    return {
      code: 'RUN_STUCK',
      message: `the run waits for an operator: ${run.problem?.message ?? 'unknown problem'}; ${String(wayOn(run, draft.plan))}`,
    };
  if (run.executing !== null && !stale) {
    return {
      code: 'RUN_BUSY',
      message: busyText({ ...run, executing: run.executing }),
    };
  }
  if (stale) {
    return {
      code: 'STALE_VERSION',
      message: `the run is at version ${run.version}, not ${String(expectedVersion)}; read it again`,
    };
  }
  return null;
}

function unknownTransition(draft: Draft, name: string): Said {
  if (draft.plan.notation === 'agent')
    return blockRefusal(name, charterRule(draft.plan, name) ?? 'undeclared');
  return {
    code: 'UNKNOWN_TRANSITION',
    message: `state \`${draft.run.state}\` has no transition \`${name}\`; see \`links\``,
  };
}

/** As many errors as a schema gives that arguments do not fit. */
const mostErrors = 20;

/** The arguments with the defaults of their schema, checked against it. Without a schema no arguments are accepted. */
function checkInput(
  draft: Draft,
  transition: Transition,
  args: JsonObject,
): Said | { readonly arguments: JsonObject } {
  const trouble = jsonTrouble(args);
  if (trouble !== null)
    return {
      code: 'INPUT_INVALID',
      message: `the arguments cannot be taken: ${trouble}`,
      errors: [{ pointer: '/arguments', message: trouble }],
    };
  if (transition.inputSchema === null) {
    const names = Object.keys(args);
    if (names.length === 0) return { arguments: {} };
    const errors = names.slice(0, mostErrors).map((name) => ({
      pointer: `/arguments${pointerTo([name])}`,
      message: 'this transition takes no arguments',
    }));
    return { code: 'INPUT_INVALID', message: `\`${transition.name}\` takes no arguments`, errors };
  }
  return checkFit(draft, transition, transition.inputSchema, args);
}

/**
 * Arguments must fit the schema of the transition and that of its tool. What the tool's defaults fill in is sent, so that it
 * must fit the transition's own schema too.
 */
function checkFit(
  { kit }: Pick<Draft, 'kit'>,
  transition: Transition,
  own: JsonObject,
  args: JsonObject,
): Said | { readonly arguments: JsonObject } {
  const checked = kit.validate(own, args, transition.toolSchema);
  if (checked.status === 'valid') return { arguments: checked.value };
  const tool = `tool \`${String(transition.tool)}\``;
  const refusing = {
    schema: 'its schema',
    beside: `the schema of its ${tool}`,
    filled: `its schema with what its ${tool} fills in`,
  };
  return misfitRefusal(transition, refusing[checked.refusing ?? 'schema'], checked.errors);
}

function misfitRefusal(
  { name }: Transition,
  schema: string,
  errors: readonly { readonly pointer: string; readonly message: string }[],
): Said {
  return {
    code: 'INPUT_INVALID',
    message: `the arguments of \`${name}\` do not fit ${schema}`,
    errors: errors.map(({ pointer, message }) => ({ pointer: `/arguments${pointer}`, message })),
  };
}

/** The refusal of the first guard, in the order of the plan, that does not pass; null: all pass. Each evaluated guard is put on record. */
function checkGuards(draft: Draft, asker: Asker, transition: Transition, args: JsonObject): Said | null {
  const at = guardContext(draft.run, asker.principal, args);
  const ask = makeAsking(draft.work, transition.guards, at);
  for (const [index, guard] of transition.guards.entries()) {
    const { verdict, reason, reads } = ask(guard);
    record(draft, 'guard.evaluated', {
      actor: actorOf(asker.principal),
      causation: asker.id,
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
    if (verdict === 'pass') continue;
    return {
      code: 'GUARD_REJECTED',
      message: `guard ${index} (${guard.kind}) of \`${transition.name}\` refused: ${reason}`,
      guard: { index, kind: guard.kind, verdict, reason },
    };
  }
  return null;
}
