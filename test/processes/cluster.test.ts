import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { projectRoot } from '../../testing/paths.js';

const service = z.looseObject({
  command: z.array(z.string()).optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).optional(),
  healthcheck: z.looseObject({ test: z.array(z.string()) }).optional(),
  environment: z.record(z.string(), z.string()).optional(),
  volumes: z.array(z.string()).optional(),
  deploy: z.object({ replicas: z.number() }).optional(),
});
const compose = z
  .looseObject({ services: z.record(z.string(), service), volumes: z.record(z.string(), z.unknown()) })
  .parse(parse(readFileSync(join(projectRoot, 'docker-compose.yml'), 'utf8'), { merge: true }));

const read = (file: string): string => readFileSync(join(projectRoot, file), 'utf8');

test('API and worker are services of their own, with replicas and health checks', () => {
  for (const name of ['api', 'worker']) {
    assert.deepEqual(compose.services[name]?.command, [name]);
    assert.ok((compose.services[name]?.deploy?.replicas ?? 0) >= 2, name);
    assert.ok(compose.services[name]?.healthcheck, name);
    assert.equal(
      compose.services[name]?.depends_on?.['migrate']?.condition,
      'service_completed_successfully',
    );
  }
});

test('whatever a service waits for exists, and whom it waits to be healthy has a health check', () => {
  for (const [name, { depends_on: dependencies = {} }] of Object.entries(compose.services)) {
    for (const [target, { condition }] of Object.entries(dependencies)) {
      assert.ok(compose.services[target], `${name} waits for ${target}`);
      if (condition === 'service_healthy') assert.ok(compose.services[target]?.healthcheck, target);
    }
  }
});

test('mounted folders and volumes exist', () => {
  for (const { volumes = [] } of Object.values(compose.services)) {
    for (const source of volumes.map((volume) => volume.split(':')[0] as string)) {
      if (source.startsWith('./')) assert.ok(existsSync(join(projectRoot, source)), source);
      else assert.ok(source in compose.volumes, source);
    }
  }
});

test('every variable that the compose file gives our processes is one that they read', () => {
  const known = read('src/processes/settings/config.ts');
  for (const name of ['api', 'worker', 'migrate']) {
    for (const variable of Object.keys(compose.services[name]?.environment ?? {})) {
      assert.ok(known.includes(`${variable}:`), variable);
    }
  }
});

test('the image copies only what is there', () => {
  const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) =>
    (match[1] as string).split(' '),
  );
  assert.ok(copied.length >= 8);
  for (const source of copied) assert.ok(existsSync(join(projectRoot, source)), source);
});
