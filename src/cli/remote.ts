import type { JsonObject } from '../model/json.js';
import type { Command, Shown, Terminal, Values } from './options.js';
import { CliError, makeApi, told, type Api, type Told } from './rest.js';
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

interface Page {
  readonly data: readonly JsonObject[];
  readonly nextCursor: string | null;
}

/** Every page of a list. */
export async function all<Item>(api: Api, path: string, query: URLSearchParams): Promise<Told<Item>[]> {
  const items: Told<Item>[] = [];
  for (;;) {
    const page = await api.get<Page>(`${path}?${query.toString()}`);
    items.push(...list(page.data).map((one) => told<Item>(one)));
    const next = page.nextCursor;
    if (typeof next !== 'string') return items;
    query.set('cursor', next);
  }
}
