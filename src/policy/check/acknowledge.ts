import { isObject, pointerTo, type Json } from '../../model/json.js';
import { maxProblems } from '../compile/context.js';
import { findings, warningCodes, type FindingCode } from '../text/findings.js';
import { nearest, type Finding, type PathSegment } from '../text/problems.js';
import { problemAt, type Source } from '../text/source.js';

// A warning that its author has read and accepted, with the reason, in the file (docs/adr/0006).

interface Entry {
  readonly code: string;
  readonly reason: string;
  /** Of what it is about, as a pointer into the document. */
  readonly at: string;
  /** Where the acknowledgement itself stands. */
  readonly path: readonly PathSegment[];
}

export interface Acknowledgements {
  readonly source: Source;
  readonly entries: readonly Entry[];
  readonly used: Set<Entry>;
}

/** `acknowledge` of a flow, a tool or a file; `at` starts where that stands. */
export function acknowledgementsOf(
  source: Source,
  holder: Json,
  path: readonly PathSegment[],
): Acknowledgements {
  const list = isObject(holder) && Array.isArray(holder['acknowledge']) ? holder['acknowledge'] : [];
  const entries = (list as readonly Json[]).flatMap((one, index): Entry[] => {
    if (!isObject(one)) return [];
    const { code, reason, at = '' } = one;
    if (typeof code !== 'string' || typeof reason !== 'string' || typeof at !== 'string') return [];
    return [{ code, reason, at: `${pointerTo(path)}${at}`, path: [...path, 'acknowledge', index] }];
  });
  return { source, entries, used: new Set() };
}

const within = (path: string, at: string): boolean => path === at || path.startsWith(`${at}/`);

/** The same warnings, those that are accepted with their reason. */
export function acknowledged(known: Acknowledgements, warnings: readonly Finding[]): readonly Finding[] {
  return warnings.map((one) => {
    if (one.acknowledged !== undefined || one.file !== known.source.file) return one;
    const all = known.entries.filter(({ code, at }) => code === one.code && within(one.path, at));
    for (const each of all) known.used.add(each);
    const [first] = all;
    return first === undefined ? one : { ...one, acknowledged: first.reason };
  });
}

/** An error cannot be accepted, and neither can what nobody has heard of. */
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

/** What is accepted and is not there: the next one who reads it would look for it. */
export function idleAcknowledgements({ source, entries, used }: Acknowledgements): readonly Finding[] {
  return entries
    .filter((one) => !used.has(one) && Object.hasOwn(findings, one.code))
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
