import { createHash } from 'node:crypto';
import { isObject, type Json, type JsonObject } from '../../model/values/json.js';

const style = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --soft: color-mix(in srgb, currentColor 6%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; }
nav a { margin-right: 1rem; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .5rem .75rem; }
summary { cursor: pointer; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); padding: .3rem .6rem .3rem 0; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; }
.soft { opacity: .75; }`;

/** The page loads nothing and runs nothing; its style is allowed by its hash. */
export const docsPolicy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`;

/** The OpenAPI document as a page, without scripts and without anything from other hosts. */
export function docsPage(document: JsonObject): string {
  const info = object(document['info']);
  const operations = Object.entries(object(document['paths'])).flatMap(([path, methods]) =>
    Object.entries(object(methods)).map(([method, operation]) => ({
      path,
      method: method.toUpperCase(),
      spec: object(operation),
    })),
  );
  const tags = [...new Set(operations.map(({ spec }) => text(list(spec['tags'])[0])))];
  const sections = tags.map((tag) => {
    const own = operations.filter(({ spec }) => list(spec['tags']).includes(tag));
    return `<h2 id="${escape(tag)}">${escape(tag)}</h2>${own.map(operation).join('')}`;
  });
  const schemas = Object.entries(object(object(document['components'])['schemas']));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(text(info['title']))} API</title><style>${style}</style></head>
<body><h1>${escape(text(info['title']))} API</h1>
<p class="soft">${escape(text(info['description']))} Machine-readable: <a href="/openapi.json">openapi.json</a>.</p>
<p>Send <code>Authorization: Bearer &lt;key or JWT&gt;</code>. Errors are <code>application/problem+json</code> with a <code>code</code> and a <code>traceId</code>.</p>
<nav>${tags.map((tag) => `<a href="#${escape(tag)}">${escape(tag)}</a>`).join('')}<a href="#schemas">Schemas</a></nav>
${sections.join('\n')}
<h2 id="schemas">Schemas</h2>
${schemas.map(([name, schema]) => `<details id="schema-${escape(name)}"><summary><code>${escape(name)}</code></summary>${pre(schema)}</details>`).join('\n')}
</body></html>`;
}

function operation({
  path,
  method,
  spec,
}: {
  readonly path: string;
  readonly method: string;
  readonly spec: JsonObject;
}): string {
  const parameters = list(spec['parameters']).map(object);
  const content = object(object(spec['requestBody'])['content']);
  const description = text(spec['description']);
  return `<details><summary><span class="method">${method}</span><code>${escape(path)}</code> <span class="soft">${inline(text(spec['summary']))}</span></summary>
${description === '' ? '' : `<p>${inline(description)}</p>`}
${parameters.length === 0 ? '' : `<table><tr><th>parameter</th><th>in</th><th>schema</th></tr>${parameters.map(parameterRow).join('')}</table>`}
${Object.entries(content)
  .map(([media, body]) => `<p>Body <code>${escape(media)}</code>: ${schema(object(body)['schema'])}</p>`)
  .join('')}
<table><tr><th>status</th><th>answer</th></tr>${Object.entries(object(spec['responses'])).map(responseRow).join('')}</table></details>`;
}

function parameterRow(parameter: JsonObject): string {
  const required = parameter['required'] === true ? ' (required)' : '';
  return `<tr><td><code>${escape(text(parameter['name']))}</code>${required}</td><td>${escape(text(parameter['in']))}</td><td><code>${escape(JSON.stringify(parameter['schema'] ?? {}))}</code></td></tr>`;
}

function responseRow([status, answer]: readonly [string, Json]): string {
  const response = object(answer);
  const schemas = Object.values(object(response['content'])).map((each) => schema(object(each)['schema']));
  return `<tr><td>${escape(status)}</td><td>${inline(text(response['description']))} ${schemas.join(' ')}</td></tr>`;
}

function schema(value: Json | undefined): string {
  const ref = text(object(value)['$ref']);
  if (ref === '') return value === undefined ? '' : pre(value);
  const name = ref.slice(ref.lastIndexOf('/') + 1);
  return `<a href="#schema-${escape(name)}"><code>${escape(name)}</code></a>`;
}

function pre(value: Json): string {
  return `<pre>${escape(JSON.stringify(value, null, 2))}</pre>`;
}

/** Escapes a text; what stands in backticks becomes code. */
function inline(value: string): string {
  return escape(value).replaceAll(/`([^`]*)`/g, '<code>$1</code>');
}

function escape(value: string): string {
  return value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function object(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
