import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { isObject, type Json } from '../model/json.js';
import { defaultGateTimeoutMs, type Connection, type ConnectionEntry, type EnvironmentEntry, type PolicySet } from '../model/policy-set.js';
import { compileTool } from './actions.js';
import { checkOne, inOrder, type CompiledFlow } from './check-text.js';
import type { Catalog, CompiledTool, Compiling } from './context.js';
import { compileProxy } from './flows.js';
import type { PathSegment, Problem } from './problems.js';
import { fit } from './shape-check.js';
import { connectionShape, fileShape, toolShape, type TargetShape, type ToolShape } from './shapes.js';
import { parseText, problemAt, type Source } from './source.js';

export interface LoadedFolder {
  readonly status: 'loaded';
  readonly policySet: PolicySet;
  readonly catalog: Catalog;
  readonly flows: readonly CompiledFlow[];
  readonly warnings: readonly Problem[];
}

export type FolderResult = LoadedFolder | { readonly status: 'invalid'; readonly errors: readonly Problem[]; readonly warnings: readonly Problem[] };

const topLevel = /^(connections|environments|roles|notifications)\.(ya?ml|json)$/;
const known = [topLevel, /^[^/]+\.(ya?ml|json)$/, /^(tools|flows)\/(?:[^/]+\/)*[^/]+\.(ya?ml|json)$/, /^tests\/(?:[^/]+\/)*[^/]+\.test\.(ya?ml|json)$/];

interface Reading {
  readonly root: string;
  readonly sources: Source[];
  readonly errors: Problem[];
  readonly warnings: Problem[];
  /** Where each name was seen first: names are unique over the folder. */
  readonly names: Map<string, string>;
}

/** The folder of POLICIES.md: everything in it is right, or nothing of it is used. */
export async function loadFolder(root: string): Promise<FolderResult> {
  const reading: Reading = { root: resolve(root), sources: [], errors: [], warnings: [], names: new Map() };
  await readFiles(reading);
  const files = reading.sources.filter((one) => !isSideFile(one)).flatMap((source) => shapeOf(reading, source));
  const policySet = assemble(reading, files);
  const tools = files.flatMap((file) => toolsOf(reading, file, policySet));
  const catalog: Catalog = { policySet, tools: tools.map((one) => one.tool) };
  const flows = [...files.flatMap((file) => flowsOf(reading, file, catalog)), ...proxyOf(reading, tools, catalog)];
  if (reading.errors.length > 0) return { status: 'invalid', errors: byFile(reading.errors), warnings: byFile(reading.warnings) };
  return { status: 'loaded', policySet, catalog, flows, warnings: byFile(reading.warnings) };
}

function isSideFile(source: Source): boolean {
  return /^(tests\/|notifications\.)/.test(source.file ?? '');
}

function byFile(problems: readonly Problem[]): Problem[] {
  return inOrder(problems).sort((a, b) => (a.file ?? '').localeCompare(b.file ?? '', 'en'));
}

async function readFiles(reading: Reading): Promise<void> {
  const isFolder = await stat(reading.root).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const fail = (code: string, file: string, message: string): void => void reading.errors.push({ code, path: '', file, line: 1, column: 1, message });
  if (!isFolder) return fail('NO_FOLDER', reading.root, `there is no policies folder \`${reading.root}\`: set COUNTERSIGN_POLICIES to one`);
  const entries = await readdir(reading.root, { recursive: true, withFileTypes: true });
  const paths = entries.filter((one) => one.isFile() && /\.(ya?ml|json)$/.test(one.name)).map((one) => relative(reading.root, join(one.parentPath, one.name)).replaceAll('\\', '/'));
  for (const file of paths.sort()) {
    if (!known.some((one) => one.test(file))) {
      fail('UNKNOWN_PLACE', file, `the layout has no place for \`${file}\`: use connections.yaml, environments.yaml, roles.yaml, tools/, flows/, tests/*.test.yaml or notifications.yaml`);
      continue;
    }
    const parsed = parseText(await readFile(join(reading.root, file), 'utf8'), file);
    if (parsed.status === 'invalid') reading.errors.push(...parsed.problems);
    else reading.sources.push(parsed.source);
  }
}

interface PolicyFile {
  readonly source: Source;
  /** Null: the document is one declared agent. */
  readonly shape: ReturnType<typeof fileShape.parse> | null;
}

function shapeOf(reading: Reading, source: Source): PolicyFile[] {
  if (source.value === null) return [];
  if (isObject(source.value) && Object.hasOwn(source.value, 'permissions')) return [{ source, shape: null }];
  const shaped = fit(source, source.value, fileShape, []);
  if (shaped.status === 'fits') return [{ source, shape: shaped.value }];
  reading.errors.push(...shaped.problems);
  return [];
}

function unique(reading: Reading, source: Source, kind: string, name: string, path: readonly PathSegment[]): boolean {
  const key = `${kind} ${name}`;
  const before = reading.names.get(key);
  if (before !== undefined) {
    reading.errors.push(problemAt(source, 'DUPLICATE_NAME', path, `${kind} \`${name}\` is also declared in ${before}: names are unique over the folder`, 'key'));
    return false;
  }
  reading.names.set(key, source.file ?? 'this document');
  return true;
}

function assemble(reading: Reading, files: readonly PolicyFile[]): PolicySet {
  const environments = files.flatMap(({ source, shape }) => Object.entries(shape?.environments ?? {}).flatMap(([name, one]) => (unique(reading, source, 'environment', name, ['environments', name]) ? [environment(name, one ?? {})] : [])));
  const all = environments.length > 0 ? environments : ['dev', 'staging', 'prod'].map((name) => environment(name, {}));
  const names = all.map((one) => one.name);
  return {
    v: 1,
    baseDirectory: dirname(reading.root),
    environments: all,
    connections: files.flatMap((file) => connectionsOf(reading, file, names)),
    roles: files.flatMap(({ source, shape }) => Object.entries(shape?.roles ?? {}).flatMap(([name, one]) => (unique(reading, source, 'role', name, ['roles', name]) ? [{ name, permissions: one?.permissions ?? [] }] : []))),
    queues: files.flatMap(({ source, shape }) => Object.entries(shape?.queues ?? {}).flatMap(([name, one]) => (unique(reading, source, 'queue', name, ['queues', name]) ? [{ name, roles: one.roles }] : []))),
  };
}

function environment(name: string, shape: { requireTiers?: boolean | undefined; refuseWarnings?: boolean | undefined; gateTimeout?: number | undefined }): EnvironmentEntry {
  return { name, requireTiers: shape.requireTiers ?? false, refuseWarnings: shape.refuseWarnings ?? false, gateTimeoutMs: shape.gateTimeout ?? defaultGateTimeoutMs };
}

function connectionsOf(reading: Reading, { source, shape }: PolicyFile, environments: readonly string[]): ConnectionEntry[] {
  return Object.entries(shape?.connections ?? {}).flatMap(([name, value]): ConnectionEntry[] => {
    const path = ['connections', name];
    if (!unique(reading, source, 'connection', name, path)) return [];
    const shaped = fit(source, value, connectionShape, path);
    if (shaped.status === 'invalid') {
      reading.errors.push(...shaped.problems);
      return [];
    }
    const one = shaped.value;
    if ('kind' in one) return [{ name, targets: target(reading, source, null, one, path) }];
    return [{ name, targets: Object.entries(one.environments).flatMap(([key, each]) => {
      if (!environments.includes(key)) reading.errors.push(problemAt(source, 'UNKNOWN_ENVIRONMENT', [...path, 'environments', key], `unknown environment \`${key}\``, 'key'));
      return target(reading, source, key, each, [...path, 'environments', key]);
    }) }];
  });
}

function target(reading: Reading, source: Source, environment: string | null, shape: TargetShape, path: readonly PathSegment[]): { environment: string | null; connection: Connection }[] {
  const fail = (key: string, message: string): never[] => {
    reading.errors.push(problemAt(source, 'CONNECTION_INVALID', [...path, key], message, 'key'));
    return [];
  };
  switch (shape.kind) {
    case 'rest':
      return validAddress(shape.baseUrl) ? [{ environment, connection: { kind: 'rest', baseUrl: shape.baseUrl, allowPrivate: shape.allowPrivate ?? false, headers: shape.headers ?? {} } }] : fail('baseUrl', `\`${shape.baseUrl}\` is no http address and no reference`);
    case 'cli':
      return [{ environment, connection: { kind: 'cli', command: shape.command, args: shape.args ?? [], env: shape.env ?? {}, workingDirectory: shape.workingDirectory ?? null } }];
    case 'mcp': {
      const { command, url } = shape;
      if (command !== undefined && url === undefined) return [{ environment, connection: { kind: 'mcp', transport: { kind: 'stdio', command, args: shape.args ?? [], env: shape.env ?? {}, workingDirectory: shape.workingDirectory ?? null } } }];
      if (url === undefined || command !== undefined) return fail('kind', 'an mcp connection has a `command` or a `url`, one of the two');
      return validAddress(url) ? [{ environment, connection: { kind: 'mcp', transport: { kind: 'http', url, allowPrivate: shape.allowPrivate ?? false, headers: shape.headers ?? {} } } }] : fail('url', `\`${url}\` is no http address and no reference`);
    }
  }
}

function validAddress(text: string): boolean {
  if (/^(env|secret):\/\/[A-Za-z0-9_.-]+$/.test(text)) return true;
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

interface FoundTool {
  readonly tool: CompiledTool;
  /** From `proxy.expose`: it is a transition of the flow `proxy` too. */
  readonly exposed: boolean;
  readonly source: Source;
}

function toolsOf(reading: Reading, { source, shape }: PolicyFile, policySet: PolicySet): FoundTool[] {
  const to: Compiling = { source, catalog: { policySet, tools: [] }, errors: reading.errors, warnings: reading.warnings };
  const lists = [
    { list: shape?.tools ?? [], path: ['tools'], exposed: false },
    { list: shape?.proxy?.expose ?? [], path: ['proxy', 'expose'], exposed: true },
  ];
  return lists.flatMap(({ list, path, exposed }) =>
    list.flatMap((value, index): FoundTool[] => {
      const at = [...path, index];
      const shaped = fit<ToolShape>(source, value, toolShape, at);
      if (shaped.status === 'invalid') {
        reading.errors.push(...shaped.problems);
        return [];
      }
      if (!unique(reading, source, 'tool', shaped.value.name, [...at, 'name'])) return [];
      return [{ tool: compileTool(to, shaped.value, at), exposed, source }];
    }),
  );
}

function flowsOf(reading: Reading, { source, shape }: PolicyFile, catalog: Catalog): CompiledFlow[] {
  const found: readonly { value: Json; path: readonly PathSegment[]; notation: 'agent' | 'states' }[] =
    shape === null
      ? [{ value: source.value, path: [], notation: 'agent' }]
      : Object.entries(shape.workflows ?? {}).map(([name, value]) => ({ value: value as Json, path: ['workflows', name], notation: 'states' }));
  return found.flatMap(({ value, path, notation }) => {
    const checked = checkOne(source, catalog, notation, value, path);
    reading.warnings.push(...checked.warnings);
    if (checked.status === 'invalid') {
      reading.errors.push(...checked.errors);
      return [];
    }
    return unique(reading, source, 'flow', checked.flow.name, notation === 'agent' ? ['name'] : path) ? [checked.flow] : [];
  });
}

function proxyOf(reading: Reading, tools: readonly FoundTool[], catalog: Catalog): CompiledFlow[] {
  const exposed = tools.filter((one) => one.exposed);
  const source = exposed[0]?.source;
  if (source === undefined || !unique(reading, source, 'flow', 'proxy', ['proxy'])) return [];
  const to: Compiling = { source, catalog, errors: reading.errors, warnings: reading.warnings };
  const plan = compileProxy(to, exposed.map((one) => one.tool), ['proxy', 'expose']);
  const definition = { proxy: { expose: exposed.map((one) => one.tool as unknown as Json) } };
  return [{ name: 'proxy', plan, definition, source: source.text, owner: null, description: plan.description, environment: 'dev', warnings: [] }];
}
