import { gatesOf } from '../../engine/gates/gates.js';
import { makeTurns } from '../../model/give-way.js';
import type { FlowVersionJson } from '../../model/contract/answer-types.js';
import type { JsonObject } from '../../model/values/json.js';
import type { Floor, Plan, State, Transition } from '../../engine/plan.js';

export type Graph = FlowVersionJson['graph'];

/** States and transitions as nodes and edges; a transition with branches has an edge for each target. */
export async function graphOf(plan: Plan, floors: readonly Floor[] | null): Promise<Graph> {
  const turn = makeTurns();
  const edges: JsonObject[] = [];
  for (const state of plan.states)
    for (const transition of state.transitions) {
      await turn();
      for (const edge of edgesOf(state, transition, floors)) edges.push(edge);
    }
  return {
    nodes: plan.states.map((state) => ({
      id: state.name,
      initial: state.name === plan.initialState,
      terminal: state.terminal,
      outcome: state.outcome,
      onEnter: state.onEnter?.executor.kind ?? null,
      description: state.description,
    })),
    edges: [...edges, ...timeoutEdges(plan)],
  };
}

function edgesOf(state: State, transition: Transition, floors: readonly Floor[] | null): JsonObject[] {
  const { name, title, actor, tier, tool, guards } = transition;
  const gated = gatesOf(transition, { floors }).length > 0;
  const edge = (to: string, when: string): JsonObject => ({
    id: `${state.name}/${name}/${when}`,
    from: state.name,
    to,
    transition: name,
    title,
    actor,
    tier,
    tool,
    gated,
    guards: guards.length,
    when,
  });
  return [
    edge(transition.target, 'target'),
    ...transition.branches.map((branch, index) => edge(branch.target, `branch ${index}`)),
    ...(transition.onDeny === null || !gated ? [] : [edge(transition.onDeny, 'denied')]),
  ];
}

function timeoutEdges(plan: Plan): JsonObject[] {
  const target = plan.onTimeout?.target;
  if (target === undefined) return [];
  const open = plan.states.filter((state) => !state.terminal);
  return open.map((state) => ({
    id: `${state.name}/timeout`,
    from: state.name,
    to: target,
    transition: null,
    title: 'timeout',
    when: 'timeout',
  }));
}
