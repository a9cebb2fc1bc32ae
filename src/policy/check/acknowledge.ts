import { isObject, pointerTo, type Json } from '../../model/values/json.js';
import { maxProblems } from '../compile/context.js';
import { findings, warningCodes, type FindingCode } from '../text/findings.js';
import { nearest, type Finding, type PathSegment } from '../text/problems.js';
import { problemAt, type Source } from '../text/source.js';

// Acknowledgements: an author has read a warning and accepts it, with the reason, in the file (docs/adr/0006).

interface Entry {
  readonly code: string;
  readonly reason: string;
  /** Pointer into the document: warnings there or below are accepted. */
  readonly at: string;
  /** Where the acknowledgement itself stands. */
  readonly path: readonly PathSegment[];
}

export interface Acknowledgements {
  readonly source: Source;
  readonly entries: readonly Entry[];
  readonly used: Set<Entry>;
}

/** The entries of `acknowledge` in a flow, a tool or a file. `path` is that of `parent`: each `at` starts there. */
export function acknowledgementsOf(
  source: Source,
  parent: Json,
  path: readonly PathSegment[],
): Acknowledgements {
  const list = isObject(parent) && Array.isArray(parent['acknowledge']) ? parent['acknowledge'] : [];
  const entries = (list as readonly Json[]).flatMap((item, index): Entry[] => {
    if (!isObject(item)) return [];
    const { code, reason, at = '' } = item;
    if (typeof code !== 'string' || typeof reason !== 'string' || typeof at !== 'string') return [];
    return [{ code, reason, at: `${pointerTo(path)}${at}`, path: [...path, 'acknowledge', index] }];
  });
  return { source, entries, used: new Set() };
}

const isWithin = (path: string, at: string): boolean => path === at || path.startsWith(`${at}/`);

/** The same warnings; an accepted warning carries the reason. Notes which acknowledgements were used. */
export function markAcknowledged(
  accepted: Acknowledgements,
  warnings: readonly Finding[],
): readonly Finding[] {
  return warnings.map((finding) => {
    if (finding.acknowledged !== undefined || finding.file !== accepted.source.file) return finding;
    const matching = accepted.entries.filter(
      ({ code, at }) => code === finding.code && isWithin(finding.path, at),
    );
    for (const entry of matching) accepted.used.add(entry);
    const [first] = matching;
    return first === undefined ? finding : { ...finding, acknowledged: first.reason };
  });
}

/** Errors for acknowledgements of an error, or of a code that does not exist. */
export function wrongAcknowledgements({ source, entries }: Acknowledgements): readonly Finding[] {
  return entries.slice(0, maxProblems).flatMap(({ code, path }): Finding[] => {
    const at = [...path, 'code'];
    if (!Object.hasOwn(findings, code))
      return [
        problemAt(
          source,
          'UNKNOWN_VALUE',
          at,
          `\`${code}\` is nothing that a check finds`,
          'value',
          nearest(code, warningCodes),
        ),
      ];
    return findings[code as FindingCode].severity === 'warning'
      ? []
      : [
          problemAt(
            source,
            'ACKNOWLEDGED_ERROR',
            at,
            `\`${code}\` is an error, and an error cannot be acknowledged: repair what it names`,
          ),
        ];
  });
}

/** Warnings for acknowledgements of a warning that is not there: a later reader would look for it. */
export function unusedAcknowledgements({ source, entries, used }: Acknowledgements): readonly Finding[] {
  return entries
    .filter((entry) => !used.has(entry) && Object.hasOwn(findings, entry.code))
    .slice(0, maxProblems)
    .map(({ code, path }) =>
      problemAt(
        source,
        'ACKNOWLEDGED_NOTHING',
        path,
        `there is no warning \`${code}\` here any more: remove its acknowledgement`,
        'value',
      ),
    );
}
