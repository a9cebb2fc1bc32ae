import type { Path, Template } from '../../engine/plan.js';
import type { Json } from '../../model/values/json.js';

export type RestExecutor = {
  readonly kind: 'rest';
  readonly connection: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD';
  /** Texts and holes; the values of holes are URL-encoded. */
  readonly path: { readonly kind: 'text'; readonly parts: readonly (string | Path)[] };
  readonly query: readonly { readonly key: string; readonly value: Template }[];
  readonly headers: readonly { readonly key: string; readonly value: Template }[];
  readonly body: Template | null;
  /** What in the headers of the connection may make the call another method. Absent: nothing. */
  readonly overriddenBy?: string;
  readonly idempotencyKey: boolean;
};

export type RestCall = {
  readonly kind: 'rest';
  readonly connection: string;
  readonly method: string;
  readonly path: string;
  /** The path as the author wrote it, with its holes: what messages name, since arguments can be erased and messages stay. */
  readonly writtenPath: string;
  readonly query: readonly (readonly [string, string])[];
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Json | undefined;
};

export type RestConnection = {
  readonly kind: 'rest';
  readonly baseUrl: string;
  readonly allowPrivate: boolean;
  readonly headers: Readonly<Record<string, string>>;
};
