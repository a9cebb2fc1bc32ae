import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import type { ErrorClass } from '../../model/contract/errors.js';
import type { JsonObject } from '../../model/values/json.js';
import { isMalformedAnswer, takesArgument } from './message.js';
import { readServerError, type Words } from './words.js';

// Where the idempotency key of a call goes: among the arguments of the tool, or beside them where the tool's schema takes no
// other arguments and would refuse the call.

export type ToolParams = { name: string; arguments: JsonObject; _meta?: JsonObject };

export type PlacedKey =
  | { readonly status: 'placed'; readonly params: ToolParams }
  /** The server did not say what its tools take. A key in the wrong place has no effect, so nothing is called. */
  | {
      readonly status: 'unplaced';
      readonly errorClass: ErrorClass;
      readonly why: string;
      /** The server's own words, not masked. */
      readonly words?: Words;
    };

interface Options {
  readonly signal: AbortSignal;
  readonly timeout: number;
}

const keyName = '_idempotencyKey';

export async function placeKey(
  client: Client,
  call: { readonly tool: string; readonly arguments: JsonObject },
  key: string | null,
  options: Options,
): Promise<PlacedKey> {
  const plain = { name: call.tool, arguments: call.arguments };
  if (key === null) return { status: 'placed', params: plain };
  let takes: boolean;
  try {
    takes = await takesKey(client, call.tool, options);
  } catch (error) {
    return toUnplaced(error);
  }
  const params = takes
    ? { ...plain, arguments: { ...call.arguments, [keyName]: key } }
    : { ...plain, _meta: { [keyName]: key } };
  return { status: 'placed', params };
}

/** Throws the error again where the connection was lost: that is for the caller to judge. */
function toUnplaced(error: unknown): PlacedKey {
  const why = 'to `tools/list`, which says where the idempotency key goes, its server answered';
  const said = readServerError(error);
  if (said !== null) {
    const what = said.broken === null ? 'an error' : `an error that is none of the protocol (${said.broken})`;
    const words = said.words === null ? {} : { words: said.words };
    return { status: 'unplaced', errorClass: 'transient', why: `${why} ${what}`, ...words };
  }
  if (isMalformedAnswer(error)) return { status: 'unplaced', errorClass: 'permanent', why: `${why} no list` };
  throw error;
}

/** For each tool: does it take the key as an argument? Kept for as long as the session, or until its server says that its tools have changed. */
const known = new WeakMap<Client, ReadonlyMap<string, boolean>>();
const maxPages = 50;

async function takesKey(client: Client, tool: string, options: Options): Promise<boolean> {
  const before = known.get(client)?.get(tool);
  if (before !== undefined) return before;
  const tools = new Map<string, boolean>();
  // Set before it is filled, so that a change while it is filled removes it.
  known.set(client, tools);
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void known.delete(client));
  await listTools(client, tool, tools, options);
  return tools.get(tool) ?? true;
}

async function listTools(
  client: Client,
  tool: string,
  tools: Map<string, boolean>,
  options: Options,
): Promise<void> {
  let cursor: string | undefined;
  for (let page = 0; page < maxPages; page += 1) {
    const params = cursor === undefined ? {} : { cursor };
    const listed = await client.request({ method: 'tools/list', params }, toolList, options);
    for (const listedTool of listed.tools)
      tools.set(listedTool.name, takesArgument(listedTool as JsonObject, keyName));
    // On the last page, servers write null or nothing.
    cursor = listed.nextCursor || undefined;
    if (cursor === undefined || tools.has(tool)) return;
  }
}

const toolList = z.looseObject({
  tools: z.array(z.looseObject({ name: z.string() })),
  nextCursor: z.string().nullish(),
});
