import { createHash } from 'node:crypto';
import { isAbsolute, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { findingCodes, findings, helpOf, type Finding } from '../policy/index.js';
import type { Checked } from './check.js';

// SARIF 2.1.0, which code scanners and editors read.

/** The program runs from a checkout, and its documentation is beside it. */
const home = new URL('../../', import.meta.url);

interface Result {
  readonly ruleId: string;
  readonly ruleIndex: number;
  readonly level: 'error' | 'warning';
  readonly message: { readonly text: string };
  readonly locations: readonly unknown[];
  readonly partialFingerprints: Readonly<Record<string, string>>;
  /** A warning that was acknowledged, and why; empty: it is open. */
  readonly suppressions: readonly unknown[];
}

export function sarif(results: readonly Checked[]): unknown {
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'countersign', rules: findingCodes.map(rule) } },
        originalUriBaseIds: { '%SRCROOT%': { description: { text: 'where `countersign check` was run' } } },
        columnKind: 'utf16CodeUnits',
        results: results.flatMap(({ path, errors, warnings }) => [
          ...errors.map((one) => result('error', path, one)),
          ...warnings.map((one) => result('warning', path, one)),
        ]),
      },
    ],
  };
}

function rule(code: Finding['code']): unknown {
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

/** `level` is what it counts for: an environment may refuse what is a warning elsewhere. */
function result(level: Result['level'], checked: string, one: Finding): Result {
  const file = relative(resolve('.'), resolve(one.file ?? checked)).replaceAll('\\', '/');
  return {
    ruleId: one.code,
    ruleIndex: findingCodes.indexOf(one.code),
    level,
    message: { text: one.message },
    locations: [
      {
        physicalLocation: {
          artifactLocation: address(file),
          region: { startLine: one.line, startColumn: one.column },
        },
        ...(one.path === '' ? {} : { logicalLocations: [{ fullyQualifiedName: one.path }] }),
      },
    ],
    // Lines move; what it is about stays.
    partialFingerprints: {
      'countersign/v1': createHash('sha256').update([file, one.code, one.path].join('\n')).digest('hex'),
    },
    suppressions:
      one.acknowledged === undefined
        ? []
        : [{ kind: 'inSource', status: 'accepted', justification: one.acknowledged }],
  };
}

function address(file: string): { readonly uri: string; readonly uriBaseId?: string } {
  if (file.startsWith('..') || isAbsolute(file)) return { uri: pathToFileURL(resolve(file)).href };
  return { uri: file.split('/').map(encodeURIComponent).join('/'), uriBaseId: '%SRCROOT%' };
}
