import { isObject, type Json, type JsonObject } from '../../model/values/json.js';
import { parseExactly, unmark, type ExactJson, type TooLarge } from '../answer/exact-json.js';
import type { Place } from '../answer/places.js';
import type { Excerpts } from '../masking/mask.js';
import { notAResult, notReadable } from './message.js';
import { isText } from './words.js';

// What a tool has answered, once the SDK has given its result.

export type ToolResult =
  | {
      readonly status: 'read';
      readonly output: Json;
      readonly exact: readonly Place[];
      readonly isError: boolean;
      /** The texts of its blocks, joined by U+0000. Whoever quotes it masks it first, and then writes blanks for these. */
      readonly text: string;
    }
  | { readonly status: 'malformed'; readonly why: string }
  | { readonly status: 'unreadable'; readonly why: string }
  | TooLarge;

const blockKinds: Readonly<Record<string, readonly (readonly [string, 'string' | 'object'])[]>> = {
  text: [['text', 'string']],
  image: [
    ['data', 'string'],
    ['mimeType', 'string'],
  ],
  audio: [
    ['data', 'string'],
    ['mimeType', 'string'],
  ],
  resource: [['resource', 'object']],
  resource_link: [
    ['uri', 'string'],
    ['name', 'string'],
  ],
};

/** The result of a tool. Its output is the structured content, else a single text that is JSON, else the content as it came. */
export function readToolResult(result: JsonObject, excerpts: Excerpts): ToolResult {
  const malformed = (why: string) => ({ status: 'malformed', why }) as const;
  const broken = result[notAResult];
  if (typeof broken === 'string') return malformed(broken);
  const unread = result[notReadable];
  if (typeof unread === 'string') return { status: 'unreadable', why: unread };
  const { content = [], structuredContent, isError = false } = result;
  if (typeof isError !== 'boolean') return malformed('`isError` is neither true nor false');
  if (!Array.isArray(content)) return malformed('`content` is no array');
  const blocks = content as readonly Json[];
  const wrong = blocks
    .map((block, index) => blockProblem(block, index, excerpts))
    .find((problem) => problem !== null);
  if (wrong !== undefined) return malformed(wrong);
  if (structuredContent !== undefined && !isObject(structuredContent))
    return malformed('`structuredContent` is no object');
  if (blocks.length === 0 && structuredContent === undefined && result['content'] === undefined)
    return malformed('it has neither `content` nor `structuredContent`');
  const output = outputOf(blocks, structuredContent, isError);
  if (output.status === 'malformed') return malformed(output.why);
  if (output.status === 'repeats') return { status: 'unreadable', why: output.why };
  if (output.status === 'too_large') return output;
  const words = textOf(blocks);
  const text = words === '' && structuredContent !== undefined ? JSON.stringify(output.value) : words;
  return { status: 'read', output: output.value, exact: output.exact, isError, text };
}

function blockProblem(block: Json, index: number, excerpts: Excerpts): string | null {
  if (!isObject(block)) return `block ${index} of \`content\` is no object`;
  const { type } = block;
  const fields = typeof type === 'string' && Object.hasOwn(blockKinds, type) ? blockKinds[type] : undefined;
  if (fields === undefined) {
    const plain = type === undefined ? null : unmark(type);
    const shown = excerpts.start(plain?.status === 'parsed' ? JSON.stringify(plain.value) : 'none', 40);
    return `block ${index} of \`content\` has the unknown type \`${shown}\``;
  }
  const missing = fields.find(([name, kind]) =>
    kind === 'string' ? !isText(block[name]) : !isObject(block[name]),
  );
  return missing === undefined ? null : `block ${index} of \`content\` has no \`${missing[0]}\``;
}

function outputOf(blocks: readonly Json[], structured: JsonObject | undefined, isError: boolean): ExactJson {
  if (structured !== undefined) return unmark(structured);
  const only = blocks.length === 1 ? blocks[0] : undefined;
  if (isObject(only) && only['type'] === 'text') {
    const parsed = parseExactly(String(only['text']));
    // A text that is no JSON is content like any other. The text of an error is for people, who read it whatever names it repeats.
    if (parsed.status !== 'malformed' && !(parsed.status === 'repeats' && isError)) return parsed;
  }
  return unmark({ content: blocks });
}

function textOf(blocks: readonly Json[]): string {
  return blocks
    .flatMap((block) => (isObject(block) && block['type'] === 'text' ? [String(block['text'])] : []))
    .join('\0');
}
