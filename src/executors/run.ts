import { answerTrouble, isObject, type Json, type JsonObject } from '../model/values/json.js';
import { textsInDataUrl } from './answer/body.js';
import { root, type Place } from './answer/places.js';
import { maskedText, type Mask, type Masked } from './masking/mask.js';
import { makeAbortedError, failure, isExecutorAborted, unusableAnswer } from './answer/outcome.js';
import { processReferences, resolveConnectionReferences } from './connections/references.js';
import * as drivers from './drivers.js';
import { makeTurns, WorkTooLong, type Turn } from '../model/give-way.js';
import type { Connection } from '../model/policy-set.js';
import type { Call, DriverContext, ExecutorDriver, ExecutorResult, Located, RunContext } from './types.js';

const byKind = new Map(Object.values<ExecutorDriver>(drivers).map((driver) => [driver.kind, driver]));

function driverOf(kind: string): ExecutorDriver {
  const driver = byKind.get(kind);
  if (driver === undefined) throw new Error(`nothing here calls for executors of kind \`${kind}\``);
  return driver;
}

/**
 * Performs a call. The references of its connection are resolved here, for this call, and their values are masked in the answer
 * and in the message of a failure. Rejects with `ExecutorAborted` when `context.signal` aborts; every other failure is a value.
 */
export async function runCall(call: Call, context: RunContext): Promise<ExecutorResult> {
  if (context.signal.aborted) throw makeAbortedError(false);
  const resolved = await resolveConnectionReferences(
    context.connection,
    context.references ?? processReferences(),
  );
  if (resolved.status === 'missing') return failure('permanent', nameConnection(call, resolved.message));
  const { mask, connection } = resolved;
  try {
    const result = await perform(call, { ...context, connection, excerpts: mask });
    return await maskInTime(result, mask, context);
  } catch (error) {
    if (isExecutorAborted(error)) throw error;
    throw new Error(mask.text(error instanceof Error ? (error.stack ?? error.message) : String(error)));
  }
}

/** Longest work on masking one answer; the time that others take in between is not counted. */
const longestMaskingMs = 10_000;

/** An answer that took too long to mask is not handed on. */
async function maskInTime(result: ExecutorResult, mask: Mask, context: RunContext): Promise<ExecutorResult> {
  try {
    return await maskResult(result, mask, makeTurns(longestMaskingMs));
  } catch (error) {
    if (!(error instanceof WorkTooLong)) throw error;
    const why = `its answer takes more than ${longestMaskingMs} ms to look through: ask for less`;
    if (result.status === 'succeeded') return unusableAnswer(context, `the target has answered, and ${why}`);
    const { response: _response, ...rest } = result;
    return { ...rest, ...maskMessage(result.message, mask) };
  }
}

function maskMessage(text: string, mask: Mask): { message: string; isMasked?: true } {
  const message = mask.text(text);
  return { message, ...(message.includes(maskedText) ? { isMasked: true as const } : {}) };
}

/** The body of an answer is in its output and in its response, and is masked once for both. */
async function maskResult(result: ExecutorResult, mask: Mask, turn: Turn): Promise<ExecutorResult> {
  if (result.status === 'failed') {
    const response = result.response === undefined ? null : await mask.json(result.response, turn);
    return {
      ...result,
      ...maskMessage(result.message, mask),
      ...(response === null ? {} : { response: response.value }),
    };
  }
  const { output, response, exact = [] } = result;
  // An answer too deep or too large for a walk through it is not masked: the caller refuses it, and keeps nothing of it.
  if (answerTrouble(output, response) !== null) return result;
  const beside = restOfResponse(output, response);
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

/** Nothing can be cut out of bytes that are kept as a data URL: where a secret is in them, none of them is kept. */
async function maskOutput(output: Json, exact: readonly Place[], mask: Mask, turn: Turn): Promise<Masked> {
  for (const text of typeof output === 'string' ? textsInDataUrl(output) : [])
    if ((await mask.json(text, turn)).at.length > 0) return { value: maskedText, at: [root], exact: [] };
  return mask.json(output, turn, exact);
}

/** The response without its body, which is the output; null: the response is the output itself. */
function restOfResponse(output: Json, response: Json): JsonObject | null {
  if (response === output || !isObject(response)) return null;
  const { body: _body, ...beside } = response;
  return beside;
}

function nameConnection(call: Call, message: string): string {
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

/** Which program a connection starts, and where, on this machine, now. A `PATH` in its `env` has to be resolved before. */
export function locateProgram(connection: Connection, baseDirectory: string): Located {
  return driverOf(connection.kind).locate?.(connection, baseDirectory) ?? { connection, program: null };
}

/** Stops what executors keep between calls (processes of MCP servers), when a worker ends. */
export async function closeExecutors(): Promise<void> {
  for (const { close } of byKind.values()) await close?.();
}
