import type { Json } from '../../model/values/json.js';
import type { PolicyFile } from '../compile/policy-set.js';
import { fit } from '../shape/check.js';
import { agentShape, connectionShape, toolShape, workflowShape } from '../shape/shapes.js';
import type { Finding, PathSegment } from '../text/problems.js';
import type { Source } from '../text/source.js';

// The tools and flows of a file as they are written, before what they name is known.

interface WrittenValue {
  readonly value: Json;
  readonly path: readonly PathSegment[];
}

export interface ToolValue extends WrittenValue {
  /** It is written in `proxy.expose`, so it is also a transition of the flow `proxy`. */
  readonly exposed: boolean;
}

interface FlowValue extends WrittenValue {
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

/** The misfits of a flow's shape: all that is reported while what it names cannot be read, or it would be called missing. */
export function misfitsOfFlow(source: Source, { value, path, notation }: FlowValue): readonly Finding[] {
  return misfitsOf(source, value, notation === 'agent' ? agentShape : workflowShape, path);
}

/** The misfits of all that a file holds. */
export function misfitsOfFile(file: PolicyFile): readonly Finding[] {
  const { source, shape } = file;
  return [
    ...Object.entries(shape?.connections ?? {}).flatMap(([name, value]) =>
      misfitsOf(source, value, connectionShape, ['connections', name]),
    ),
    ...toolValues(file).flatMap(({ value, path }) => misfitsOf(source, value, toolShape, path)),
    ...flowValues(file).flatMap((flow) => misfitsOfFlow(source, flow)),
  ];
}

function misfitsOf(...written: Parameters<typeof fit>): readonly Finding[] {
  const shaped = fit(...written);
  return shaped.status === 'invalid' ? shaped.problems : [];
}
