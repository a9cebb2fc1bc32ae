import type { JsonObject } from '../model/json.js';
import type { Command, Shown, Terminal, Values } from './options.js';
import { CliError, makeApi, type Api } from './rest.js';
import { list } from './show.js';

export type Remote = (
  api: Api,
  args: readonly string[],
  values: Values,
  terminal: Terminal,
) => Promise<Shown>;

/** A command that asks the service, as one principal. */
export function remote(run: Remote): Command['run'] {
  return ({ args, values, terminal }) => {
    const [as, another] = values.as ?? [];
    if (another !== undefined) throw new CliError('give --as once: one asks', 2);
    return run(makeApi({ ...values, as }, terminal.env), args, values, terminal);
  };
}

/** Every page of a list. */
export async function all(api: Api, path: string, query: URLSearchParams): Promise<JsonObject[]> {
  const items: JsonObject[] = [];
  for (;;) {
    const page = await api.get(`${path}?${query.toString()}`);
    items.push(...list(page['data']));
    const next = page['nextCursor'];
    if (typeof next !== 'string') return items;
    query.set('cursor', next);
  }
}
