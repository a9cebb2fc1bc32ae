import { resolve } from 'node:path';
import type { z } from 'zod';
import { isObject, type Json, type JsonObject } from '../../model/json.js';
import type { NotificationPolicy } from '../../model/notifications.js';
import { defaultEnvironment, type PolicySet } from '../../model/policy-set.js';
import { floorsOf } from '../../schema/kit.js';
import {
  acknowledged,
  acknowledgementsOf,
  idleAcknowledgements,
  wrongAcknowledgements,
  type Acknowledgements,
} from '../check/acknowledge.js';
import { compileProxy } from '../compile/agent.js';
import { checkOne, inOrder, judgeWarnings, type CompiledFlow } from '../checker/check-text.js';
import { error, warn, type Catalog, type CompiledTool, type Compiling } from '../compile/context.js';
import { withFloors } from '../check/floors.js';
import { warnUngated } from '../compile/gates.js';
import { compileNotifications } from '../compile/notifications.js';
import { assemble, type PolicyFile } from '../compile/policy-set.js';
import type { Finding } from '../text/problems.js';
import { emptyFile, readFiles, unique, type Reading } from './reading.js';
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
      /** Files of which not everything was looked at, with what has to be right before: without errors they may yet be wrong. */
      readonly unchecked: ReadonlyMap<string, readonly Finding[]>;
    };

/**
 * The folder of docs/spec/policies.md: everything in it is right, or nothing of it is used. Who plays its cases tells about
 * each of their files: then they are `left` to that.
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
    together: [],
    unread: new Set(),
    unchecked: new Map(),
  };
  await readFiles(reading);
  const files = reading.sources.flatMap((source) =>
    cases === 'left' && isCases(source) ? [] : shapeOf(reading, source),
  );
  const first = reading.errors.filter(declares);
  if (first.length > 0) {
    for (const source of reading.sources) if (!isCases(source)) markUnchecked(reading, source, first);
    reading.errors.push(...files.flatMap(misfitsOfFile));
    return invalid(reading);
  }
  const policySet = withFloors(reading, files, assemble(reading, files, knownQueues));
  const tools = files.flatMap((file) => toolsOf(reading, file, policySet));
  const catalog: Catalog = { policySet, tools: tools.map((one) => one.tool) };
  const wrong = reading.errors.filter(declares);
  const flows = [
    ...files.flatMap((file) => flowsOf(reading, file, catalog, wrong)),
    ...proxyOf(reading, tools, catalog),
  ];
  const notifications = notificationsOf(reading, files, catalog, flows);
  acceptWarnings(reading, files, tools);
  if (reading.errors.length > 0) return invalid(reading);
  const whole = notifications === null ? policySet : { ...policySet, notifications };
  return {
    status: 'loaded',
    policySet: whole,
    catalog: { ...catalog, policySet: whole },
    flows,
    references: referencesOf(reading.sources),
    warnings: byFile(reading.warnings),
  };
}

function invalid({ errors, warnings, unchecked }: Reading): FolderResult {
  return { status: 'invalid', errors: byFile(errors), warnings: byFile(warnings), unchecked };
}

function markUnchecked({ unchecked }: Reading, { file = '' }: Source, first: readonly Finding[]): void {
  unchecked.set(file, first);
}

/** A file in which names may be declared, whatever its folder: while it cannot be read, nobody knows which there are. */
function declares({ file = '' }: Finding): boolean {
  return !/^tests\/|^notifications\./.test(file);
}

/** Of tools, and of what belongs to no flow and no tool: a flow's own were looked at with it. */
function acceptWarnings(reading: Reading, files: readonly PolicyFile[], tools: readonly FoundTool[]): void {
  const apply = (known: Acknowledgements, warnings: Finding[]): void =>
    void warnings.splice(0, warnings.length, ...acknowledged(known, warnings));
  const ofFiles = files.flatMap(({ source, shape }) =>
    shape === null ? [] : [acknowledgementsOf(source, source.value, [])],
  );
  for (const known of ofFiles) apply(known, reading.together);
  reading.warnings.push(...reading.together);
  for (const { accepted } of tools) apply(accepted, reading.warnings);
  for (const known of [...ofFiles, ...tools.map((one) => one.accepted)]) {
    reading.errors.push(...wrongAcknowledgements(known));
    reading.warnings.push(...idleAcknowledgements(known));
  }
}

/** Files that hold no flow and no tool: their shape is checked here, and what they mean apart. */
function sideShape(source: Source): z.ZodType | null {
  if (isCases(source)) return testsShape;
  return isNotifications(source) ? notificationsShape : null;
}

function isCases({ file }: Source): boolean {
  return file?.startsWith('tests/') === true;
}

function isNotifications({ file }: Source): boolean {
  return file?.startsWith('notifications.') === true;
}

/**
 * Its routes name queues and roles of everything else, so it comes last. Where a file that declares names is wrong, a name that
 * stands anywhere in what was written may be used there, and is not called unknown.
 */
function notificationsOf(
  reading: Reading,
  files: readonly PolicyFile[],
  catalog: Catalog,
  flows: readonly CompiledFlow[],
): NotificationPolicy | null {
  const written = new Set<string>();
  const first = reading.errors.filter(declares);
  if (first.length > 0) for (const { source } of files) collectTexts(source.value, written);
  const sources = reading.sources.filter((one) => isNotifications(one) && one.value !== null);
  const made = sources.flatMap((source) => {
    const shaped = fit(source, source.value, notificationsShape, []);
    if (shaped.status === 'invalid' || !unique(reading, source, 'file', 'notifications', [])) return [];
    const answered: Finding[] = [];
    const to: Compiling = { source, catalog, errors: reading.errors, warnings: [], answered };
    const compiled = compileNotifications(to, shaped.value, flows, (what, name) => {
      const isOpen = written.has(name);
      // That no file declares a flow is no error, whatever is mended.
      if (isOpen && what !== 'flow') markUnchecked(reading, source, first);
      return isOpen;
    });
    const accepted = acknowledgementsOf(source, source.value ?? null, []);
    acknowledged(accepted, answered);
    reading.warnings.push(...acknowledged(accepted, to.warnings), ...idleAcknowledgements(accepted));
    reading.errors.push(...wrongAcknowledgements(accepted));
    return [compiled];
  });
  return made[0] ?? null;
}

/** Names included. */
function collectTexts(value: Json, into: Set<string>): void {
  if (typeof value === 'string') into.add(value);
  if (typeof value !== 'object' || value === null) return;
  for (const [name, one] of Object.entries(value)) {
    into.add(name);
    collectTexts(one, into);
  }
}

function byFile(problems: readonly Finding[]): Finding[] {
  return inOrder(problems).sort((a, b) => (a.file ?? '').localeCompare(b.file ?? '', 'en'));
}

function looksLikeAgent(value: JsonObject): boolean {
  return ['permissions', 'name', 'approval_gate'].some((key) => Object.hasOwn(value, key));
}

function shapeOf(reading: Reading, source: Source): PolicyFile[] {
  const side = sideShape(source);
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

/** `{}`, or the format version alone. An empty list is written on purpose. */
function declaresNothing(value: Json): boolean {
  return Object.keys(value ?? {}).every((key) => key === 'version' || key === 'acknowledge');
}

interface FoundTool extends ToolValue {
  readonly tool: CompiledTool;
  readonly source: Source;
  readonly accepted: Acknowledgements;
}

function toolsOf(reading: Reading, file: PolicyFile, policySet: PolicySet): FoundTool[] {
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
      reading.unread.add(isObject(value) && typeof value['name'] === 'string' ? value['name'] : null);
      return [];
    }
    if (!unique(reading, source, 'tool', shaped.value.name, [...path, 'name'])) return [];
    const tool = compileTool(to, shaped.value, path);
    const accepted = acknowledgementsOf(source, value, path);
    return [{ tool, exposed, source, path, value, accepted }];
  });
}

function flowsOf(
  reading: Reading,
  file: PolicyFile,
  catalog: Catalog,
  first: readonly Finding[],
): CompiledFlow[] {
  const { source } = file;
  return flowValues(file).flatMap((one) => {
    const { value, path, notation } = one;
    if (mentions(value, reading.unread)) {
      markUnchecked(reading, source, first);
      reading.errors.push(...misfitsOfFlow(source, one));
      return [];
    }
    const checked = checkOne(source, catalog, notation, value, path);
    if (reading.unread.has(null) && checked.status === 'invalid' && checked.errors.some(isOfTool)) {
      markUnchecked(reading, source, first);
      return [];
    }
    reading.warnings.push(...checked.warnings);
    if (checked.status === 'invalid') {
      reading.errors.push(...checked.errors);
      return [];
    }
    return unique(reading, source, 'flow', checked.flow.name, notation === 'agent' ? ['name'] : path)
      ? [checked.flow]
      : [];
  });
}

/** Where a tool has no name that can be read, it may be that one. */
function isOfTool({ code }: Finding): boolean {
  return code === 'UNKNOWN_TOOL' || code === 'UNKNOWN_DENIED_TOOL';
}

function mentions(value: Json, names: Reading['unread']): boolean {
  if (typeof value === 'string') return names.has(value);
  return typeof value === 'object' && Object.values(value ?? {}).some((one) => mentions(one, names));
}

function proxyOf(reading: Reading, tools: readonly FoundTool[], catalog: Catalog): CompiledFlow[] {
  const exposed = tools.filter((one) => one.exposed);
  const source = exposed[0]?.source;
  if (source === undefined || !unique(reading, source, 'flow', 'proxy', ['proxy'])) return [];
  const to: Compiling = { source, catalog, errors: reading.errors, warnings: [] };
  const plan = compileProxy(
    to,
    exposed.map((one) => one.tool),
    ['proxy', 'expose'],
  );
  const floors = floorsOf(catalog.policySet, defaultEnvironment);
  const answered: Finding[] = [];
  for (const { tool, path, source: own } of exposed) {
    const at: Compiling = { ...to, source: own, floors, answered };
    if (tool.tier === null) warn(at, 'TIER_MISSING', path, `tool \`${tool.name}\` has no \`tier\``);
    warnUngated(at, tool, [tool.gate], path, tool.name);
  }
  const environment = catalog.policySet.environments.find((one) => one.name === defaultEnvironment);
  if (environment === undefined)
    error(
      to,
      'UNKNOWN_ENVIRONMENT',
      ['proxy'],
      'the flow `proxy` lives in `dev`, which no file declares',
      'key',
    );
  const accept = (found: readonly Finding[]): readonly Finding[] =>
    exposed.reduce((all, one) => acknowledged(one.accepted, all), found);
  const told = accept(to.warnings);
  accept(answered);
  const { fatal, warnings } = judgeWarnings(told, environment);
  reading.errors.push(...fatal);
  reading.warnings.push(...warnings);
  const definition = { proxy: { expose: exposed.map((one) => one.value) } };
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
