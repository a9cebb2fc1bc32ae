import type { JsonObject } from '../model/values/json.js';
import type { Command, Shown, Terminal, Values } from './options.js';
import { CliError, makeApi, asReceived, type Api, type Received } from './rest.js';
import { list } from './show.js';

export type Remote = (
  api: Api,
  args: readonly string[],
  values: Values,
  terminal: Terminal,
) => Promise<Shown>;

/** Makes a command that asks the service as one principal. */
export function remote(run: Remote): Command['run'] {
  return ({ args, values, terminal }) => {
    const [as, another] = values.as ?? [];
    if (another !== undefined) throw new CliError('give --as once: the service is asked as one principal', 2);
    return run(makeApi({ ...values, as }, terminal.env), args, values, terminal);
  };
}

interface Page {
  readonly data: readonly JsonObject[];
  readonly nextCursor: string | null;
}

/** The items of all pages of a list. */
export async function getAll<Item>(
  api: Api,
  path: string,
  query: URLSearchParams,
): Promise<Received<Item>[]> {
  const items: Received<Item>[] = [];
  for (;;) {
    const page = await api.get<Page>(`${path}?${query.toString()}`);
    items.push(...list(page.data).map((item) => asReceived<Item>(item)));
    const next = page.nextCursor;
    if (typeof next !== 'string') return items;
    query.set('cursor', next);
  }
}
