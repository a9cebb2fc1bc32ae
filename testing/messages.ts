import assert from 'node:assert/strict';
import { readSeal, storeMessages, type MessageDraft, type Stored } from '../src/client/replay/attest.js';
import type { ClientDeps } from '../src/client/deps.js';
import type { Tx } from '../src/db/index.js';

/** Signs and stores a message as the client does. */
export async function storeMessage(
  deps: Pick<ClientDeps, 'keys' | 'payloads'>,
  tx: Tx,
  draft: MessageDraft,
): Promise<Stored> {
  const [stored] = await storeMessages(deps, tx, await readSeal(deps, tx), [draft]);
  assert.ok(stored !== undefined);
  return stored;
}
