import type { Plan } from '../../engine/plan.js';
import { assertKnown, assertOneTimeout, warn, type Compiling, type Path } from './context.js';
import type { AgentShape, WorkflowShape } from '../shape/shapes.js';
import { checkSchema } from './tools.js';

// What flows in both notations have in common.

export const defaultChainDepth = 50;

type Header = Pick<
  Plan,
  'v' | 'name' | 'title' | 'description' | 'owner' | 'tags' | 'environment' | 'inputSchema' | 'timeoutMs'
>;

export function compileHeader(
  to: Compiling,
  name: string,
  shape: WorkflowShape | AgentShape,
  path: Path,
): Header {
  if (shape.environment !== undefined)
    assertKnown(
      to,
      'UNKNOWN_ENVIRONMENT',
      'environment',
      shape.environment,
      to.catalog.policySet.environments.map((environment) => environment.name),
      [...path, 'environment'],
    );
  if (shape.owner === undefined) warn(to, 'NO_OWNER', path, `flow \`${name}\` has no \`owner\``);
  assertOneTimeout(to, shape, path);
  return {
    v: 1,
    name,
    title: shape.title ?? null,
    description: shape.description ?? null,
    owner: shape.owner ?? null,
    tags: shape.tags ?? [],
    environment: shape.environment ?? null,
    inputSchema: checkSchema(to, shape.inputSchema, [...path, 'inputSchema']),
    timeoutMs: shape.timeout ?? shape.timeoutMs ?? null,
  };
}
