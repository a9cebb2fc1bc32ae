import { basisOf } from './basis.js';
import { checkFlowText } from '../checker/check-text.js';
import type { Catalog } from '../compile/context.js';
import { loadFolder, type FolderResult, type LoadedFolder } from './folder.js';
import { readyCheck, readyFlow, type ReadyCheck, type ReadyFlow } from './ready.js';

/** A folder whose flows are ready to be stored. `basis`: what else is compiled against it follows from that. */
export interface ReadyFolder extends Omit<LoadedFolder, 'flows'> {
  readonly flows: readonly ReadyFlow[];
  readonly basis: string;
}

export type FolderLoad = ReadyFolder | Extract<FolderResult, { readonly status: 'invalid' }>;

/** Each of its flows is handed on as soon as it is ready. */
export async function loadReady(
  root: string,
  knownQueues: readonly string[],
  onFlow: (flow: ReadyFlow) => void,
): Promise<Omit<ReadyFolder, 'flows'> | Extract<FolderResult, { readonly status: 'invalid' }>> {
  const loaded = await loadFolder(root, { knownQueues });
  if (loaded.status === 'invalid') return loaded;
  const { flows, ...others } = loaded;
  for (const flow of flows) onFlow(readyFlow(flow));
  return { ...others, basis: basisOf(loaded.catalog) };
}

/**
 * A flow that stands in no file, from the text that its author sent. What was taken as JSON is YAML of the same meaning, and
 * nothing says of a text which of the two it was taken as: so none is refused that was taken. Nor is one for a number in a
 * writing that earlier builds took: it is handed on as it was.
 */
export function compilePublished(text: string, catalog: Catalog): ReadyCheck {
  return readyCheck(checkFlowText(text, { catalog, media: 'yaml', rewritten: 'warned' }));
}
