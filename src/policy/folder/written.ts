import type { Json } from '../../model/json.js';
import type { PolicyFile } from '../compile/policy-set.js';
import { fit } from '../shape/check.js';
import { agentShape, connectionShape, toolShape, workflowShape } from '../shape/shapes.js';
import type { Finding, PathSegment } from '../text/problems.js';
import type { Source } from '../text/source.js';

// What the tools and flows of a file are before anything is known of what they name.

interface Written {
  readonly value: Json;
  readonly path: readonly PathSegment[];
}

export interface ToolValue extends Written {
  /** From `proxy.expose`: it is a transition of the flow `proxy` too. */
  readonly exposed: boolean;
}

interface FlowValue extends Written {
  readonly notation: 'agent' | 'states';
}

export function toolValues({ shape }: PolicyFile): readonly ToolValue[] {
  const lists = [
    { list: shape?.tools ?? [], path: ['tools'], exposed: false },
    { list: shape?.proxy?.expose ?? [], path: ['proxy', 'expose'], exposed: true },
  ];
  return lists.flatMap(({ list, path, exposed }) =>
    list.map((value, index) => ({ value: value as Json, path: [...path, index], exposed })),
  );
}

export function flowValues({ source, shape }: PolicyFile): readonly FlowValue[] {
  return shape === null
    ? [{ value: source.value, path: [], notation: 'agent' }]
    : Object.entries(shape.workflows ?? {}).map(([name, value]) => ({
        value: value as Json,
        path: ['workflows', name],
        notation: 'states',
      }));
}

/** All that is told of a flow while what it names cannot be read: the rest would be of what is missing. */
export function misfitsOfFlow(source: Source, { value, path, notation }: FlowValue): readonly Finding[] {
  return misfits(source, value, notation === 'agent' ? agentShape : workflowShape, path);
}

/** The same of all that a file holds. */
export function misfitsOfFile(file: PolicyFile): readonly Finding[] {
  const { source, shape } = file;
  return [
    ...Object.entries(shape?.connections ?? {}).flatMap(([name, value]) =>
      misfits(source, value, connectionShape, ['connections', name]),
    ),
    ...toolValues(file).flatMap(({ value, path }) => misfits(source, value, toolShape, path)),
    ...flowValues(file).flatMap((one) => misfitsOfFlow(source, one)),
  ];
}

function misfits(...written: Parameters<typeof fit>): readonly Finding[] {
  const shaped = fit(...written);
  return shaped.status === 'invalid' ? shaped.problems : [];
}
