import { resolve } from 'node:path';
import type { z } from 'zod';
import { isObject, type Json, type JsonObject } from '../../model/values/json.js';
import type { NotificationPolicy } from '../../model/contract/notifications.js';
import { defaultEnvironment, type PolicySet } from '../../model/policy-set.js';
import { floorsOf } from '../../schema/kit.js';
import {
  markAcknowledged,
  acknowledgementsOf,
  unusedAcknowledgements,
  wrongAcknowledgements,
  type Acknowledgements,
} from '../check/acknowledge.js';
import { compileProxy } from '../compile/agent.js';
import { checkFlow, sortByPosition, judgeWarnings, type CompiledFlow } from '../checker/check-text.js';
import { error, warn, type Catalog, type CompiledTool, type Compiling } from '../compile/context.js';
import { withFloors } from '../check/floors.js';
import { warnUngated } from '../compile/gates.js';
import { compileNotifications } from '../compile/notifications.js';
import { assemblePolicySet, type PolicyFile } from '../compile/policy-set.js';
import type { Finding } from '../text/problems.js';
import { emptyFile, readFiles, claimName, type Reading } from './reading.js';
import { referencesOf, type ReferencePlace } from '../check/references.js';
import { fit } from '../shape/check.js';
import { fileShape, notificationsShape, toolShape, type ToolShape } from '../shape/shapes.js';
import { testsShape } from '../shape/tests.js';
import type { Source } from '../text/source.js';
import { compileTool } from '../compile/tools.js';
import { flowValues, misfitsOfFile, misfitsOfFlow, toolValues, type ToolValue } from './written.js';

export interface LoadedFolder {
  readonly status: 'loaded';
  readonly policySet: PolicySet;
  readonly catalog: Catalog;
  readonly flows: readonly CompiledFlow[];
  readonly references: readonly ReferencePlace[];
  readonly warnings: readonly Finding[];
}

export type FolderResult =
  | LoadedFolder
  | {
      readonly status: 'invalid';
      readonly errors: readonly Finding[];
      readonly warnings: readonly Finding[];
      /** Files that were not checked in full, each with the errors that have to be mended first: more may be wrong in them. */
      readonly unchecked: ReadonlyMap<string, readonly Finding[]>;
    };

/**
 * Loads the policies folder of docs/spec/policies.md: everything in it is right, or nothing of it is used. `cases: 'left'`: files
 * of policy tests are not checked here, because the caller plays them and reports on each file.
 */
export async function loadFolder(
  root: string,
  {
    cases = 'checked',
    knownQueues = [],
  }: { readonly cases?: 'checked' | 'left'; readonly knownQueues?: readonly string[] } = {},
): Promise<FolderResult> {
  const reading: Reading = {
    root: resolve(root),
    sources: [],
    errors: [],
    warnings: [],
    names: new Map(),
    lower: new Map(),
    fileWarnings: [],
    unreadTools: new Set(),
    unchecked: new Map(),
  };
  await readFiles(reading);
  const files = reading.sources.flatMap((source) =>
    cases === 'left' && isCaseFile(source) ? [] : shapeFile(reading, source),
  );
  const unreadable = reading.errors.filter(mayDeclareNames);
  if (unreadable.length > 0) {
    for (const source of reading.sources) if (!isCaseFile(source)) markUnchecked(reading, source, unreadable);
    reading.errors.push(...files.flatMap(misfitsOfFile));
    return invalidResult(reading);
  }
  const policySet = withFloors(reading, files, assemblePolicySet(reading, files, knownQueues));
  const tools = files.flatMap((file) => compileTools(reading, file, policySet));
  const catalog: Catalog = { policySet, tools: tools.map((found) => found.tool) };
  const blocking = reading.errors.filter(mayDeclareNames);
  const flows = [
    ...files.flatMap((file) => compileFlows(reading, file, catalog, blocking)),
    ...compileProxyFlow(reading, tools, catalog),
  ];
  const notifications = compileNotificationsFile(reading, files, catalog, flows);
  acceptWarnings(reading, files, tools);
  if (reading.errors.length > 0) return invalidResult(reading);
  const whole = notifications === null ? policySet : { ...policySet, notifications };
  return {
    status: 'loaded',
    policySet: whole,
    catalog: { ...catalog, policySet: whole },
    flows,
    references: referencesOf(reading.sources),
    warnings: sortByFile(reading.warnings),
  };
}

function invalidResult({ errors, warnings, unchecked }: Reading): FolderResult {
  return { status: 'invalid', errors: sortByFile(errors), warnings: sortByFile(warnings), unchecked };
}

function markUnchecked({ unchecked }: Reading, { file = '' }: Source, blocking: readonly Finding[]): void {
  unchecked.set(file, blocking);
}

/** Whether the file of a finding may declare names (all but tests and notifications): while it is wrong, they are not known. */
function mayDeclareNames({ file = '' }: Finding): boolean {
  return !/^tests\/|^notifications\./.test(file);
}

/** Applies the acknowledgements of tools and files to their warnings. Those of flows were applied when the flow was checked. */
function acceptWarnings(reading: Reading, files: readonly PolicyFile[], tools: readonly FoundTool[]): void {
  const apply = (accepted: Acknowledgements, warnings: Finding[]): void =>
    void warnings.splice(0, warnings.length, ...markAcknowledged(accepted, warnings));
  const ofFiles = files.flatMap(({ source, shape }) =>
    shape === null ? [] : [acknowledgementsOf(source, source.value, [])],
  );
  for (const accepted of ofFiles) apply(accepted, reading.fileWarnings);
  reading.warnings.push(...reading.fileWarnings);
  for (const { accepted } of tools) apply(accepted, reading.warnings);
  for (const accepted of [...ofFiles, ...tools.map((found) => found.accepted)]) {
    reading.errors.push(...wrongAcknowledgements(accepted));
    reading.warnings.push(...unusedAcknowledgements(accepted));
  }
}

/** The shape of a file that holds neither flows nor tools (policy tests, notifications); null: any other file. */
function shapeOfSideFile(source: Source): z.ZodType | null {
  if (isCaseFile(source)) return testsShape;
  return isNotificationsFile(source) ? notificationsShape : null;
}

function isCaseFile({ file }: Source): boolean {
  return file?.startsWith('tests/') === true;
}

function isNotificationsFile({ file }: Source): boolean {
  return file?.startsWith('notifications.') === true;
}

/**
 * Compiled last, because routes name queues and roles of everything else. Where a file that declares names is wrong, a name that
 * is written anywhere in the folder's files may be declared or used there, and is not reported as unknown.
 */
function compileNotificationsFile(
  reading: Reading,
  files: readonly PolicyFile[],
  catalog: Catalog,
  flows: readonly CompiledFlow[],
): NotificationPolicy | null {
  const written = new Set<string>();
  const blocking = reading.errors.filter(mayDeclareNames);
  if (blocking.length > 0) for (const { source } of files) collectTexts(source.value, written);
  const sources = reading.sources.filter((source) => isNotificationsFile(source) && source.value !== null);
  const policies = sources.flatMap((source) => {
    const shaped = fit(source, source.value, notificationsShape, []);
    if (shaped.status === 'invalid' || !claimName(reading, source, 'file', 'notifications', [])) return [];
    const moot: Finding[] = [];
    const to: Compiling = { source, catalog, errors: reading.errors, warnings: [], moot };
    const compiled = compileNotifications(to, shaped.value, flows, (what, name) => {
      const isOpen = written.has(name);
      // An unknown flow is never an error, so nothing has to be mended first.
      if (isOpen && what !== 'flow') markUnchecked(reading, source, blocking);
      return isOpen;
    });
    const accepted = acknowledgementsOf(source, source.value ?? null, []);
    markAcknowledged(accepted, moot);
    reading.warnings.push(...markAcknowledged(accepted, to.warnings), ...unusedAcknowledgements(accepted));
    reading.errors.push(...wrongAcknowledgements(accepted));
    return [compiled];
  });
  return policies[0] ?? null;
}

/** Collects all texts of a value, names of objects included. */
function collectTexts(value: Json, into: Set<string>): void {
  if (typeof value === 'string') into.add(value);
  if (typeof value !== 'object' || value === null) return;
  for (const [name, item] of Object.entries(value)) {
    into.add(name);
    collectTexts(item, into);
  }
}

function sortByFile(problems: readonly Finding[]): Finding[] {
  return sortByPosition(problems).sort((a, b) => (a.file ?? '').localeCompare(b.file ?? '', 'en'));
}

function looksLikeAgent(value: JsonObject): boolean {
  return ['permissions', 'name', 'approval_gate'].some((key) => Object.hasOwn(value, key));
}

/** The file with its shape; nothing for a file that does not fit, or that holds neither flows nor tools. */
function shapeFile(reading: Reading, source: Source): PolicyFile[] {
  const side = shapeOfSideFile(source);
  if (side !== null) {
    const shaped = fit(source, source.value, side, []);
    if (shaped.status === 'invalid') reading.errors.push(...shaped.problems);
    else if (declaresNothing(source.value)) reading.errors.push(emptyFile(source));
    return [];
  }
  if (isObject(source.value) && looksLikeAgent(source.value)) return [{ source, shape: null }];
  const shaped = fit(source, source.value, fileShape, []);
  if (shaped.status === 'fits') {
    if (declaresNothing(source.value)) reading.errors.push(emptyFile(source));
    return [{ source, shape: shaped.value }];
  }
  reading.errors.push(...shaped.problems);
  return [];
}

/** `{}`, or nothing but the format version and acknowledgements. An empty list counts as a declaration: it is written on purpose. */
function declaresNothing(value: Json): boolean {
  return Object.keys(value ?? {}).every((key) => key === 'version' || key === 'acknowledge');
}

interface FoundTool extends ToolValue {
  readonly tool: CompiledTool;
  readonly source: Source;
  readonly accepted: Acknowledgements;
}

function compileTools(reading: Reading, file: PolicyFile, policySet: PolicySet): FoundTool[] {
  const { source } = file;
  const to: Compiling = {
    source,
    catalog: { policySet, tools: [] },
    errors: reading.errors,
    warnings: reading.warnings,
  };
  return toolValues(file).flatMap(({ value, path, exposed }): FoundTool[] => {
    const shaped = fit<ToolShape>(source, value, toolShape, path);
    if (shaped.status === 'invalid') {
      reading.errors.push(...shaped.problems);
      reading.unreadTools.add(isObject(value) && typeof value['name'] === 'string' ? value['name'] : null);
      return [];
    }
    if (!claimName(reading, source, 'tool', shaped.value.name, [...path, 'name'])) return [];
    const tool = compileTool(to, shaped.value, path);
    const accepted = acknowledgementsOf(source, value, path);
    return [{ tool, exposed, source, path, value, accepted }];
  });
}

function compileFlows(
  reading: Reading,
  file: PolicyFile,
  catalog: Catalog,
  blocking: readonly Finding[],
): CompiledFlow[] {
  const { source } = file;
  return flowValues(file).flatMap((flow) => {
    const { value, path, notation } = flow;
    if (mentions(value, reading.unreadTools)) {
      markUnchecked(reading, source, blocking);
      reading.errors.push(...misfitsOfFlow(source, flow));
      return [];
    }
    const checked = checkFlow(source, catalog, notation, value, path);
    if (reading.unreadTools.has(null) && checked.status === 'invalid' && checked.errors.some(isUnknownTool)) {
      markUnchecked(reading, source, blocking);
      return [];
    }
    reading.warnings.push(...checked.warnings);
    if (checked.status === 'invalid') {
      reading.errors.push(...checked.errors);
      return [];
    }
    return claimName(reading, source, 'flow', checked.flow.name, notation === 'agent' ? ['name'] : path)
      ? [checked.flow]
      : [];
  });
}

/** Whether a tool is reported as unknown: it may be the tool whose name could not be read. */
function isUnknownTool({ code }: Finding): boolean {
  return code === 'UNKNOWN_TOOL' || code === 'UNKNOWN_DENIED_TOOL';
}

function mentions(value: Json, names: Reading['unreadTools']): boolean {
  if (typeof value === 'string') return names.has(value);
  return typeof value === 'object' && Object.values(value ?? {}).some((item) => mentions(item, names));
}

function compileProxyFlow(reading: Reading, tools: readonly FoundTool[], catalog: Catalog): CompiledFlow[] {
  const exposed = tools.filter((found) => found.exposed);
  const source = exposed[0]?.source;
  if (source === undefined || !claimName(reading, source, 'flow', 'proxy', ['proxy'])) return [];
  const to: Compiling = { source, catalog, errors: reading.errors, warnings: [] };
  const plan = compileProxy(
    to,
    exposed.map((found) => found.tool),
    ['proxy', 'expose'],
  );
  const floors = floorsOf(catalog.policySet, defaultEnvironment);
  const moot: Finding[] = [];
  for (const { tool, path, source: toolSource } of exposed) {
    const atTool: Compiling = { ...to, source: toolSource, floors, moot };
    if (tool.tier === null) warn(atTool, 'TIER_MISSING', path, `tool \`${tool.name}\` has no \`tier\``);
    warnUngated(atTool, tool, [tool.gate], path, tool.name);
  }
  const environment = catalog.policySet.environments.find((entry) => entry.name === defaultEnvironment);
  if (environment === undefined)
    error(
      to,
      'UNKNOWN_ENVIRONMENT',
      ['proxy'],
      'the flow `proxy` lives in `dev`, which no file declares',
      'key',
    );
  const accept = (found: readonly Finding[]): readonly Finding[] =>
    exposed.reduce((all, tool) => markAcknowledged(tool.accepted, all), found);
  const marked = accept(to.warnings);
  accept(moot);
  const { fatal, warnings } = judgeWarnings(marked, environment);
  reading.errors.push(...fatal);
  reading.warnings.push(...warnings);
  const definition = { proxy: { expose: exposed.map((found) => found.value) } };
  return [
    {
      name: 'proxy',
      plan,
      definition,
      source: source.text,
      owner: null,
      description: plan.description,
      environment: 'dev',
      warnings: [],
    },
  ];
}
