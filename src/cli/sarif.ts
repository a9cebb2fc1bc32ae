import { createHash } from 'node:crypto';
import { isAbsolute, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { findingCodes, findings, helpOf, type Finding } from '../policy/index.js';
import type { Checked } from './check.js';

// Findings as SARIF 2.1.0, which code scanners and editors read.

/** The checkout that the program runs from, which holds its documentation. */
const home = new URL('../../', import.meta.url);

interface Result {
  readonly ruleId: string;
  readonly ruleIndex: number;
  readonly level: 'error' | 'warning';
  readonly message: { readonly text: string };
  readonly locations: readonly unknown[];
  readonly partialFingerprints: Readonly<Record<string, string>>;
  /** Why the warning was acknowledged; empty where it was not. */
  readonly suppressions: readonly unknown[];
}

export function toSarif(results: readonly Checked[]): unknown {
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'countersign', rules: findingCodes.map(toRule) } },
        originalUriBaseIds: { '%SRCROOT%': { description: { text: 'where `countersign check` was run' } } },
        columnKind: 'utf16CodeUnits',
        results: results.flatMap(({ path, errors, warnings }) => [
          ...errors.map((finding) => toResult('error', path, finding)),
          ...warnings.map((finding) => toResult('warning', path, finding)),
        ]),
      },
    ],
  };
}

function toRule(code: Finding['code']): unknown {
  const { severity, title } = findings[code];
  const help = helpOf(code);
  return {
    id: code,
    shortDescription: { text: title },
    defaultConfiguration: { level: severity },
    helpUri: new URL(help, home).href,
    help: { text: `see ${help}`, markdown: `see [${help}](${new URL(help, home).href})` },
  };
}

/** `level` is how the finding counts here: an environment may refuse what is a warning elsewhere. */
function toResult(level: Result['level'], checked: string, finding: Finding): Result {
  const file = relative(resolve('.'), resolve(finding.file ?? checked)).replaceAll('\\', '/');
  return {
    ruleId: finding.code,
    ruleIndex: findingCodes.indexOf(finding.code),
    level,
    message: { text: finding.message },
    locations: [
      {
        physicalLocation: {
          artifactLocation: locationOf(file),
          region: { startLine: finding.line, startColumn: finding.column },
        },
        ...(finding.path === '' ? {} : { logicalLocations: [{ fullyQualifiedName: finding.path }] }),
      },
    ],
    // Without the line, which changes with every edit above it.
    partialFingerprints: {
      'countersign/v1': createHash('sha256')
        .update([file, finding.code, finding.path].join('\n'))
        .digest('hex'),
    },
    suppressions:
      finding.acknowledged === undefined
        ? []
        : [{ kind: 'inSource', status: 'accepted', justification: finding.acknowledged }],
  };
}

function locationOf(file: string): { readonly uri: string; readonly uriBaseId?: string } {
  if (file.startsWith('..') || isAbsolute(file)) return { uri: pathToFileURL(resolve(file)).href };
  return { uri: file.split('/').map(encodeURIComponent).join('/'), uriBaseId: '%SRCROOT%' };
}
