import type { Template } from '../../engine/plan.js';

export type CliExecutor = {
  readonly kind: 'cli';
  readonly connection: string;
  readonly args: readonly Template[];
  readonly stdin: Template | null;
  /** Values may begin with `-`, also before a `--`. Absent: only behind a `--`. */
  readonly allowDashes?: true;
  readonly idempotencyKey: boolean;
};

export type CliCall = {
  readonly kind: 'cli';
  readonly connection: string;
  readonly args: readonly string[];
  readonly stdin: string | null;
};

export type CliConnection = {
  readonly kind: 'cli';
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string | null;
};
