import { randomInt } from 'node:crypto';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage, RequestId } from '@modelcontextprotocol/sdk/types.js';

/**
 * The transport, with ids for our requests that no server uses for its own. The SDK counts them from 0, and so does a server: what
 * it says about our reply to its request 1 would else be read as the answer to our request 1. Below it, on the wire, are only the
 * ids that are sent; above it only those of the SDK. Ids of the server's requests, and of our replies to them, stay what they are.
 */
export function withOwnIds(inner: Transport): Transport {
  const first = randomInt(1_000_000, 1_000_000_000);
  const outer: Transport = {
    start: () => {
      inner.onclose = () => outer.onclose?.();
      inner.onerror = (error) => outer.onerror?.(error);
      inner.onmessage = (message, extra) => {
        const own = fromWire(message, first);
        if (own === null) outer.onerror?.(new Error('an answer to nothing that was asked'));
        else outer.onmessage?.(own, extra);
      };
      return inner.start();
    },
    // `relatedRequestId` in the options is the id of a request of the server.
    send: (message, options) => inner.send(toWire(message, first), options),
    close: () => inner.close(),
    get sessionId() {
      return inner.sessionId;
    },
    setProtocolVersion: (version) => inner.setProtocolVersion?.(version),
  };
  return outer;
}

function toWire(message: JSONRPCMessage, first: number): JSONRPCMessage {
  if (!('method' in message)) return message;
  const moved = (id: unknown): RequestId => Number(id) + first;
  if ('id' in message) return { ...message, id: moved(message.id) };
  if (message.method !== 'notifications/cancelled') return message;
  return { ...message, params: { ...message.params, requestId: moved(message.params?.['requestId']) } };
}

/** Null: it answers no request of ours. */
function fromWire(message: JSONRPCMessage, first: number): JSONRPCMessage | null {
  if ('method' in message) return message;
  // Compared as numbers, as the SDK does: some servers answer with the id as text.
  const id = Number(message.id) - first;
  return id >= 0 ? { ...message, id } : null;
}
