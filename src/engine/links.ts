import type { JsonObject } from '../model/values/json.js';
import { stepMeter, type Meter } from './expression/meter.js';
import type { Room } from './effects/room.js';
import type { Principal, PrincipalKind } from '../model/principal.js';
import type { Actor, Gate, Plan, State, Transition } from './plan.js';
import { closedStatuses, type Kit, type Link, type Refusal, type RunState } from './state.js';
import { callsOf, type Calling } from './effects/effects.js';
import { environmentUnknown, gatesOf, unknownFloors, whenAsked } from './gates/gates.js';
import { readsArguments, verdictOf, type GuardContext } from './guards.js';
import { callRoom, resolveTemplate } from './expression/template.js';
import { isEnding } from './run/ending/ending.js';
import { makeWork } from './run/work.js';

const noArguments: JsonObject = { type: 'object', properties: {}, additionalProperties: false };

/**
 * The legal next steps of a run for one principal, at its current version. Evaluating them records nothing. Where plan or
 * run cannot be read, as what comes out of a store may be anything, nothing is offered, and `onFailure` is told why.
 */
export function links(
  plan: Plan,
  run: RunState,
  principal: Principal,
  kit: Pick<Kit, 'floors'>,
  onFailure: (error: unknown) => void = () => undefined,
): Link[] {
  try {
    return legalLinks(plan, run, principal, kit);
  } catch (error) {
    onFailure(error);
    return [];
  }
}

function legalLinks(plan: Plan, run: RunState, principal: Principal, kit: Pick<Kit, 'floors'>): Link[] {
  const state = plan.states.find((candidate) => candidate.name === run.state);
  if (state === undefined || closedStatuses.includes(run.status) || run.status === 'stuck') return [];
  // By the time that a submit could be taken, the run will have left this state, or ended.
  if (isEnding(run)) return [];
  const offered = state.transitions.filter((transition) => transition.actor !== 'deterministic');
  const meter = stepMeter(makeWork());
  const shown =
    (state.linkFilter ?? plan.linkFilter) === 'byGuards'
      ? offered.filter((transition) => isOffered(plan, transition, run, principal, { meter, kit }))
      : offered;
  // All prefills share one room: what no longer fits is left out.
  const room = callRoom();
  return shown.map((transition) => toLink(transition, run, gatesOf(transition, kit), room));
}

/**
 * Would a submit of this transition pass actor, charter and guards? No, where a guard reads arguments, which are not known
 * yet, or takes more work than looking at links may take.
 */
function isOffered(
  plan: Plan,
  transition: Transition,
  run: RunState,
  principal: Principal,
  { meter, kit }: { readonly meter: Meter; readonly kit: Pick<Kit, 'floors'> },
): boolean {
  if (!actorAllows(transition.actor, principal.kind)) return false;
  if (blockedBy(plan, transition, kit) !== null) return false;
  const at = { ...guardContext(run, principal, {}), meter };
  return transition.guards.every((guard) => !readsArguments(guard) && verdictOf(guard, at) === 'pass');
}

function toLink(transition: Transition, run: RunState, gates: readonly Gate[], room: Room): Link {
  const gateOn = whenAsked(gates);
  const scopes = { arguments: {}, context: run.context, input: run.input };
  const prefill = transition.prefill.flatMap(({ key, value }) => {
    const resolved = resolveTemplate(value, scopes, room);
    return resolved.status === 'resolved' ? [[key, resolved.value] as const] : [];
  });
  return {
    rel: transition.name,
    title: transition.title,
    method: 'POST',
    href: `/v1/runs/${encodeURIComponent(run.run)}/transitions/${encodeURIComponent(transition.name)}`,
    actor: transition.actor,
    tier: transition.tier,
    gated: gates.length > 0,
    ...(gateOn === null ? {} : { gateOn }),
    inputSchema: transition.inputSchema ?? noArguments,
    ...(prefill.length > 0 ? { prefill: Object.fromEntries(prefill) } : {}),
    expectedVersion: run.version,
  };
}

/** Who may take a transition of each `actor`, for the message to who may not. */
export const takersOf: Readonly<Record<Actor, string>> = {
  agent: 'agents and people take it',
  human: 'only people take it',
  system: 'only systems take it',
  deterministic: 'only the runtime takes it',
};

export function actorAllows(actor: Actor, kind: PrincipalKind): boolean {
  switch (actor) {
    case 'agent':
      return kind === 'agent' || kind === 'human';
    case 'human':
      return kind === 'human';
    case 'system':
      return kind === 'system';
    default:
      return false;
  }
}

/** Why a step is blocked. `environment`: it is not known what the environment asks for; the others come from the charter. */
export type BlockRule = 'denied' | 'undeclared' | 'unmapped' | 'environment';

type Blockable = Calling & Pick<Transition, 'name' | 'tool' | 'tier'>;

/** Null: not blocked. Nothing is called in an environment of which nothing is known; else the charter decides. */
export function blockedBy(plan: Plan, transition: Blockable, kit: Pick<Kit, 'floors'>): BlockRule | null {
  return unknownFloors(transition, kit) === null ? charterBlock(plan, transition) : 'environment';
}

/** Why a transition is blocked, as part of a sentence. */
export function blockText(rule: BlockRule): string {
  return rule === 'environment' ? environmentUnknown : `the charter blocks it (${rule})`;
}

/** The refusal of a submit, or the problem of a chain, that is blocked. */
export function blockRefusal(tool: string, rule: BlockRule): Pick<Refusal, 'code' | 'rule' | 'message'> {
  const why = {
    denied: 'the charter denies it',
    undeclared: 'the charter does not declare it',
    unmapped: 'it has no risk tier',
    environment: environmentUnknown,
  }[rule];
  return { code: 'BLOCKED', rule, message: `\`${tool}\` is blocked: ${why}` };
}

/** Deny wins. Under a charter only a declared tool with a tier runs. */
function charterBlock(plan: Plan, transition: Blockable): BlockRule | null {
  if (plan.charter === null || transition.tool === null) return blockWithoutTool(plan, transition);
  const rule = charterRule(plan, transition.tool);
  return rule ?? (transition.tier === null ? 'unmapped' : null);
}

/** An inline executor under a charter has no declared name: only a tier can map it. */
function blockWithoutTool(plan: Plan, transition: Blockable): BlockRule | null {
  if (plan.charter === null) return null;
  if (plan.charter.deny.includes(transition.name)) return 'denied';
  return callsOf(transition).length > 0 && transition.tier === null ? 'unmapped' : null;
}

/** What the charter says of a tool's name; null: permitted. */
export function charterRule(plan: Plan, tool: string): BlockRule | null {
  const charter = plan.charter;
  if (charter === null) return null;
  if (charter.deny.includes(tool)) return 'denied';
  if (charter.unmapped.includes(tool)) return 'unmapped';
  return charter.read.includes(tool) || charter.execute.includes(tool) ? null : 'undeclared';
}

export function guardContext(run: RunState, principal: Principal | null, args: JsonObject): GuardContext {
  return {
    arguments: args,
    context: run.context,
    input: run.input,
    principal,
    evidence: run.evidence,
    state: run.state,
    stay: run.stay,
  };
}

/** The run is in a terminal state: no transition moves it, and no deadline does. */
export function isAtItsEnd(plan: Pick<Plan, 'states'>, { state }: Pick<RunState, 'state'>): boolean {
  return findState(plan, state)?.terminal === true;
}

export function findState(plan: Pick<Plan, 'states'>, name: string): State | undefined {
  return plan.states.find((state) => state.name === name);
}
