import { giveWayBefore } from '../../model/give-way.js';
import type { Json } from '../../model/values/json.js';
import type { Queryable } from '../../db/index.js';
import type { ApprovalDoc, Shown } from '../../engine/state.js';
import { PayloadKeyUnopened, type Payloads } from '../record/payloads.js';

type Card = Pick<Shown, 'summary' | 'consequence' | 'preview'>;

/**
 * What an approval's row has as shown to its approvers. Null: the preview cannot be read, because its payload is gone, was erased
 * or is not what was stored. `PayloadKeyUnopened`: its key does not open here, and nothing is known of it.
 */
export async function readShown(
  payloads: Pick<Payloads, 'getAllReadable'>,
  q: Queryable,
  doc: Pick<ApprovalDoc, 'summary' | 'consequence' | 'preview' | 'previewRef'>,
): Promise<Card | PayloadKeyUnopened | null> {
  const { summary, consequence, preview = null, previewRef = null } = doc;
  if (previewRef === null) return { summary, consequence, preview };
  const bytes = (await payloads.getAllReadable(q, [previewRef])).get(previewRef.payload) ?? null;
  if (bytes === null || bytes instanceof PayloadKeyUnopened) return bytes;
  await giveWayBefore(bytes.length);
  try {
    return { summary, consequence, preview: JSON.parse(bytes.toString('utf8')) as Json };
  } catch {
    // The reference was changed, and names a text.
    return null;
  }
}
