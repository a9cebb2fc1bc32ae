import type { Policies } from '../../service/index.js';

type Loaded = Extract<Awaited<ReturnType<Policies['start']>>, { readonly status: 'loaded' }>;

/** What an operator is told of policies that a start has brought into force. */
export function linesOfLoaded(
  { removed, withdrawn, warnings }: Pick<Loaded, 'removed' | 'withdrawn' | 'warnings'>,
  folder: string,
): readonly string[] {
  return [
    ...removed.map(
      ({ kind, name }) => `the policies in \`${folder}\` take away what was there before: ${kind} ${name}`,
    ),
    ...withdrawn.map(
      ({ name, environment, reason }) =>
        `flow ${name} starts no more in ${environment}, since these policies do not take it: ${reason}`,
    ),
    ...linesOfWarnings(warnings, folder),
  ];
}

/** How many there are of each code, without those that an author has acknowledged. */
function linesOfWarnings(warnings: Loaded['warnings'], folder: string): readonly string[] {
  const open = warnings.filter(({ acknowledged }) => acknowledged === undefined);
  const counts = new Map<string, number>();
  for (const { code } of open) counts.set(code, (counts.get(code) ?? 0) + 1);
  if (counts.size === 0) return [];
  const list = [...counts].map(([code, count]) => `${count} ${code}`).join(', ');
  return [`the policies have warnings (${list}): \`npx countersign check ${folder}\` shows them`];
}
