import type { Pool } from '../../src/db/index.js';

export interface NotedStatement {
  readonly text: string;
  readonly values: readonly unknown[];
}

export interface NotedPool {
  readonly pool: Pool;
  /** The statements that were sent through the pool, in order. Of a transaction only its beginning is noted, as `connect`. */
  readonly statements: NotedStatement[];
}

export function noteStatements(pool: Pool): NotedPool {
  const statements: NotedStatement[] = [];
  const noted = new Proxy(pool, {
    get: (target, name) => {
      if (name === 'connect') statements.push({ text: 'connect', values: [] });
      if (name !== 'query') return Reflect.get(target, name, target) as unknown;
      return (text: string, values: unknown[] = []) => {
        statements.push({ text, values });
        return target.query(text, values);
      };
    },
  });
  return { pool: noted, statements };
}
