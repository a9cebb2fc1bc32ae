import pg from 'pg';

export interface Listener {
  close(): Promise<void>;
}

const reconnectMs = 250;

/**
 * One connection that listens. When it is lost it comes back by itself, and `onReconnect` tells that
 * notifications may have been missed.
 */
export async function listen(
  url: string,
  channels: readonly string[],
  onNotify: (channel: string, payload: string) => void,
  onReconnect: () => void = () => undefined,
): Promise<Listener> {
  let closed = false;
  let client: pg.Client | null = null;
  const connect = async (): Promise<void> => {
    const next = new pg.Client({ connectionString: url, application_name: 'countersign listen', keepAlive: true, connectionTimeoutMillis: 3_000 });
    next.on('notification', ({ channel, payload }) => onNotify(channel, payload ?? ''));
    next.on('error', () => undefined);
    next.on('end', () => {
      if (client === next) void again();
    });
    await next.connect();
    for (const channel of channels) await next.query(`listen ${pg.escapeIdentifier(channel)}`);
    client = next;
    if (closed) await next.end();
  };
  const again = async (): Promise<void> => {
    client = null;
    while (!closed && client === null) {
      await new Promise((resolve) => setTimeout(resolve, reconnectMs));
      await connect().then(onReconnect, () => undefined);
    }
  };
  await connect();
  return {
    close: async () => {
      closed = true;
      const last = client;
      client = null;
      await last?.end();
    },
  };
}
