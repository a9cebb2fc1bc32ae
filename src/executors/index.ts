import { answerTrouble, isObject, type Json, type JsonObject } from '../model/json.js';
import { textsInDataUrl } from './answer/body.js';
import { root, type Place } from './answer/places.js';
import { maskedText, type Mask, type Masked } from './masking/mask.js';
import { abortedError, failure, isExecutorAborted, unusableAnswer } from './answer/outcome.js';
import { processReferences, resolveConnectionReferences } from './connections/references.js';
import * as drivers from './drivers.js';
import { makeTurns, WorkTooLong, type Turn } from '../model/give-way.js';
import type { Connection } from '../model/policy-set.js';
import type { Call, DriverContext, ExecutorDriver, ExecutorResult, Placed, RunContext } from './types.js';

export { buildCall } from './build.js';
export { hasEffect, isRead, isRepeatable } from './effects.js';
export { describeCall, previewCalls, type SentWith } from './preview.js';
export { isExecutorAborted } from './answer/outcome.js';
export { pointerOf, type Place } from './answer/places.js';
export { withAddress, writtenHeaders } from './connections/address.js';

const byKind = new Map(Object.values<ExecutorDriver>(drivers).map((driver) => [driver.kind, driver]));

function driverOf(kind: string): ExecutorDriver {
  const driver = byKind.get(kind);
  if (driver === undefined) throw new Error(`nothing here calls for executors of kind \`${kind}\``);
  return driver;
}

/**
 * Performs a call. References of its connection are resolved here, for this call, and no value of theirs is in what it
 * answers or a failure says. Rejects with `ExecutorAborted` when `context.signal` aborts; every other failure is a value.
 */
export async function runCall(call: Call, context: RunContext): Promise<ExecutorResult> {
  if (context.signal.aborted) throw abortedError(false);
  const resolved = await resolveConnectionReferences(
    context.connection,
    context.references ?? processReferences(),
  );
  if (resolved.status === 'missing') return failure('permanent', connectionMessage(call, resolved.message));
  const { mask, connection } = resolved;
  try {
    const result = await perform(call, { ...context, connection, told: mask });
    return await maskInTime(result, mask, context);
  } catch (error) {
    if (isExecutorAborted(error)) throw error;
    throw new Error(mask.text(error instanceof Error ? (error.stack ?? error.message) : String(error)));
  }
}

/** How much work it may be to look through one answer, without what others do in between. */
const mostLookedMs = 10_000;

/** What took too long to look through is not handed on. */
async function maskInTime(result: ExecutorResult, mask: Mask, context: RunContext): Promise<ExecutorResult> {
  try {
    return await maskResult(result, mask, makeTurns(mostLookedMs));
  } catch (error) {
    if (!(error instanceof WorkTooLong)) throw error;
    const why = `its answer takes more than ${mostLookedMs} ms to look through: ask for less`;
    if (result.status === 'succeeded') return unusableAnswer(context, `the target has answered, and ${why}`);
    const { response: _response, ...rest } = result;
    return { ...rest, ...maskedMessage(result.message, mask) };
  }
}

function maskedMessage(text: string, mask: Mask): { message: string; isMasked?: true } {
  const message = mask.text(text);
  return { message, ...(message.includes(maskedText) ? { isMasked: true as const } : {}) };
}

/** The body of an answer stands in its output and in its response, and is looked through once. */
async function maskResult(result: ExecutorResult, mask: Mask, turn: Turn): Promise<ExecutorResult> {
  if (result.status === 'failed') {
    const response = result.response === undefined ? null : await mask.json(result.response, turn);
    return {
      ...result,
      ...maskedMessage(result.message, mask),
      ...(response === null ? {} : { response: response.value }),
    };
  }
  const { output, response, exact = [] } = result;
  // What no walk could follow to its end is refused as it is, and nothing of it is kept.
  if (answerTrouble(output, response) !== null) return result;
  const beside = besideOutput(output, response);
  const masked = await maskOutput(output, exact, mask, turn);
  const others = await mask.json(beside, turn);
  return {
    ...result,
    output: masked.value,
    response: isObject(others.value) ? { ...others.value, body: masked.value } : masked.value,
    ...(exact.length === 0 ? {} : { exact: masked.exact }),
    ...(masked.at.length === 0 ? {} : { masked: masked.at }),
    ...(others.at.length === 0 ? {} : { maskedResponse: others.at }),
  };
}

/** Of bytes that are kept as a data URL, nothing can be cut out: where a secret stands in them, none of them is kept. */
async function maskOutput(output: Json, exact: readonly Place[], mask: Mask, turn: Turn): Promise<Masked> {
  for (const text of typeof output === 'string' ? textsInDataUrl(output) : [])
    if ((await mask.json(text, turn)).at.length > 0) return { value: maskedText, at: [root], exact: [] };
  return mask.json(output, turn, exact);
}

/** What a response has beside its body, which is the output; null: it is the output itself. */
function besideOutput(output: Json, response: Json): JsonObject | null {
  if (response === output || !isObject(response)) return null;
  const { body: _body, ...beside } = response;
  return beside;
}

function connectionMessage(call: Call, message: string): string {
  return call.connection === undefined ? message : `connection \`${call.connection}\`: ${message}`;
}

async function perform(call: Call, context: DriverContext): Promise<ExecutorResult> {
  if (call.connection !== undefined && context.connection?.kind !== call.kind)
    return failure(
      'permanent',
      `\`${call.connection}\` is no ${call.kind} connection of this environment; declare it in connections.yaml`,
    );
  return driverOf(call.kind).run(call, context);
}

/** Which program a connection starts, and where, on this machine, now; its `PATH` is resolved, where it has one of its own. */
export function placed(connection: Connection, baseDirectory: string): Placed {
  return driverOf(connection.kind).place?.(connection, baseDirectory) ?? { connection, program: null };
}

/** Stops what executors keep between calls (processes of MCP servers). For the end of a worker. */
export async function closeExecutors(): Promise<void> {
  for (const { close } of byKind.values()) await close?.();
}
