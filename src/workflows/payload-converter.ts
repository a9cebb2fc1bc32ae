import type { Payload, PayloadConverter } from '@temporalio/common';

/**
 * Stands for a payload that cannot be decoded: the run's policy check refuses and records it. The converter never throws, whatever
 * arrives: in Temporal's TypeScript SDK, a payload that cannot be decoded fails every workflow task of its run, so that a single
 * garbage signal would block the run for ever (docs/spec/temporal.md, trap 1).
 */
export const undecodable = Object.freeze({ countersign: 'undecodable' });

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });
const jsonPlain = encoder.encode('json/plain');
const binaryNull = encoder.encode('binary/null');

/** Most bytes and deepest nesting of what may reach a workflow: bells and results of steps are far smaller. */
const maxBytes = 64 * 1024;
const maxDepth = 100;

function toPayload<T>(value: T): Payload {
  if (value === undefined) return { metadata: { encoding: binaryNull } };
  return { metadata: { encoding: jsonPlain }, data: encoder.encode(JSON.stringify(value)) };
}

function fromPayload(payload: Payload): unknown {
  try {
    const encoding = decoder.decode(payload.metadata?.['encoding'] ?? new Uint8Array());
    if (encoding === 'binary/null') return undefined;
    const data = payload.data ?? new Uint8Array();
    if (encoding !== 'json/plain' || data.length > maxBytes) return undecodable;
    const text = decoder.decode(data);
    return isTooDeep(text) ? undecodable : (JSON.parse(text) as unknown);
  } catch {
    return undecodable;
  }
}

/** Is the JSON nested too deeply? Serialising such a value again would overflow the stack. */
function isTooDeep(text: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (quoted) {
      if (char === 92) at += 1;
      else if (char === 34) quoted = false;
    } else if (char === 34) quoted = true;
    else if (char === 91 || char === 123) {
      depth += 1;
      if (depth > maxDepth) return true;
    } else if (char === 93 || char === 125) depth -= 1;
  }
  return false;
}

export const payloadConverter: PayloadConverter = {
  toPayload,
  fromPayload: <T>(payload: Payload): T => fromPayload(payload) as T,
};
