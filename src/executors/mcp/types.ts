import type { Template } from '../../engine/plan.js';
import type { JsonObject } from '../../model/values/json.js';

export type McpExecutor = {
  readonly kind: 'mcp';
  readonly connection: string;
  readonly tool: string;
  /** Null: the tool gets the validated arguments, or in an onEnter the run's input. */
  readonly map: Template | null;
  readonly idempotencyKey: boolean;
};

export type McpCall = {
  readonly kind: 'mcp';
  readonly connection: string;
  readonly tool: string;
  readonly arguments: JsonObject;
};

export type StdioTransport = {
  readonly kind: 'stdio';
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string | null;
};

export type HttpTransport = {
  readonly kind: 'http';
  readonly url: string;
  readonly allowPrivate: boolean;
  readonly headers: Readonly<Record<string, string>>;
};

export type McpConnection = { readonly kind: 'mcp'; readonly transport: StdioTransport | HttpTransport };
