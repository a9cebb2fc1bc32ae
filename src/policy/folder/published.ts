import { basisOf } from './basis.js';
import { checkFlowText } from '../checker/check-text.js';
import type { Catalog } from '../compile/context.js';
import { loadFolder, type FolderResult, type LoadedFolder } from './folder.js';
import { toReadyCheck, toReadyFlow, type ReadyCheck, type ReadyFlow } from './ready.js';

/** A loaded folder whose flows are ready to be stored. `basis`: that of everything that is compiled against the folder. */
export interface ReadyFolder extends Omit<LoadedFolder, 'flows'> {
  readonly flows: readonly ReadyFlow[];
  readonly basis: string;
}

export type FolderLoad = ReadyFolder | Extract<FolderResult, { readonly status: 'invalid' }>;

/** Loads a folder. Each of its flows is given to `onFlow` as soon as it is ready. */
export async function loadReady(
  root: string,
  knownQueues: readonly string[],
  onFlow: (flow: ReadyFlow) => void,
): Promise<Omit<ReadyFolder, 'flows'> | Extract<FolderResult, { readonly status: 'invalid' }>> {
  const loaded = await loadFolder(root, { knownQueues });
  if (loaded.status === 'invalid') return loaded;
  const { flows, ...others } = loaded;
  for (const flow of flows) onFlow(toReadyFlow(flow));
  return { ...others, basis: basisOf(loaded.catalog) };
}

/**
 * Compiles a flow that is in no file, from the text that its author published. The store does not say whether it was sent as JSON
 * or as YAML: JSON is also YAML with the same meaning, so it is read as YAML and no published text is refused. Nor is a text refused
 * for what earlier builds accepted, such as a number in another writing: it is handed on as before.
 */
export function compilePublished(text: string, catalog: Catalog): ReadyCheck {
  return toReadyCheck(checkFlowText(text, { catalog, media: 'yaml', isPublished: true }));
}
