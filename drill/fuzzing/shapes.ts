import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FuzzRequest, Known } from './requests.js';
import { chance, pick, type Random } from '../random.js';

// JSON that takes long, for its size, to read, write or search: at the limits of a request and of an answer, and beyond them.
// Also the target that answers with it.

const mebibyte = 1_048_576;

const list = (unit: string, count: number): string => `[${Array(count).fill(unit).join(',')}]`;
const object = (count: number, from = 0): string =>
  `{${Array.from({ length: count }, (_, index) => `"k${(from + index).toString(36)}":1`).join(',')}}`;
const objects = (count: number, names: number): string =>
  `[${Array.from({ length: count }, (_, index) => object(names, index * names)).join(',')}]`;
const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

const makers = {
  numbers: () => list('1', 49_900),
  numbersOver: () => list('1', 120_000),
  grown: () => list('1e15', 49_900),
  inexact: () => list('1e999', 170_000),
  inexactWithin: () => list('12345678901234567890', 9_900),
  fractions: () => list('0.12345678901234567', 49_900),
  texts: () => list('"a%41\\\\n+ aaaaaa"', 49_900),
  objects: () => list('{}', 24_900),
  lists: () => list('[]', 24_900),
  names: () => object(9_900),
  namesOver: () => object(60_000),
  manyNames: () => objects(49, 990),
  fewNames: () => objects(4_400, 10),
  deep: () => list(nested(58), 850),
  deeper: () => list(nested(198), 250),
  tooDeep: () => nested(3_000),
  deepText: () => `${'[1,'.repeat(58)}"${'a'.repeat(900_000)}"${']'.repeat(58)}`,
  text: () => `"${'é'.repeat(mebibyte / 2 - 2_000)}"`,
  escapes: () => `"${'\\u0001'.repeat(mebibyte / 6 - 2_000)}"`,
  percents: () => `"${'%2541+'.repeat(mebibyte / 6 - 2_000)}"`,
  brokenPercents: () => `"${'%ffa'.repeat(mebibyte / 4 - 2_000)}"`,
  digits: () => `[${'1'.repeat(mebibyte - 2_000)}]`,
} as const;

export type Shape = keyof typeof makers;
export const shapes = Object.keys(makers) as readonly Shape[];

const made = new Map<Shape, string>();

export function shapeText(shape: Shape): string {
  const text = made.get(shape) ?? makers[shape]();
  made.set(shape, text);
  return text;
}

/** A request whose input or arguments carry a shape, or which has the target answer with a shape. */
export function shapeRequest(random: Random, { runs }: Known, roles: readonly string[]): FuzzRequest {
  // Mostly the agent, who may do this.
  const by = chance(random, 0.8) ? 'agent' : pick(random, roles);
  const shape = pick(random, shapes);
  const run = runs.length === 0 ? 'run_0' : pick(random, runs);
  const [path, before, held] = pick(random, [
    ['/v1/flows/fuzz/runs', '{"input":{"big":', shapeText(shape)],
    [`/v1/runs/${run}/transitions/keep`, '{"arguments":{"big":', shapeText(shape)],
    [`/v1/runs/${run}/transitions/card`, '{"arguments":{"big":', shapeText(shape)],
    [`/v1/runs/${run}/transitions/call`, '{"arguments":{"shape":', JSON.stringify(shape)],
  ] as const);
  return {
    ...{ method: 'POST', path, headers: { 'content-type': 'application/json' } },
    ...{ body: Buffer.from(`${before}${held}}}`), truncated: false, by },
  };
}

export interface ShapesTarget {
  readonly url: string;
  close(): void;
}

/** Answers `/answers/<shape>` with that shape, and any other path with `{}`. */
export async function startShapesTarget(): Promise<ShapesTarget> {
  const server = createServer((request, response) => {
    const shape = shapes.find((name) => request.url === `/answers/${name}`);
    request.resume();
    response.setHeader('content-type', 'application/json');
    response.end(shape === undefined ? '{}' : shapeText(shape));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
