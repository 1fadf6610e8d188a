/** docker-compose.yml as Compose hands it on: read, and its variables replaced. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/server.ts';
import { at, readYaml, type Yaml } from './yaml-reading.ts';

export type Variables = Readonly<Record<string, string>>;

export const composeFile = readYaml(readFileSync(join(root, 'docker-compose.yml'), 'utf8'))[0]!;

export function serviceNamed(name: string): Yaml {
  return at(composeFile, 'services', name);
}

/** What the processes of a service find in their environment. @throws Error when a variable is missing that has to be given */
export function environmentOf(service: Yaml, variables: Variables): Record<string, string> {
  const entries = Object.entries(at(service, 'environment') as Record<string, string>);
  return Object.fromEntries(entries.map(([name, value]) => [name, interpolated(value, variables)]));
}

/** `${NAME}`, `${NAME:-fallback}` and `${NAME:?what it is}`, where an empty one counts as none. */
export function interpolated(text: string, variables: Variables): string {
  return text.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_all, name: string, mark?: string, words = '') => {
    const value = variables[name] ?? '';
    if (value === '' && mark === '?') throw new Error(`${name} is missing: ${words}`);
    return value === '' && mark === '-' ? words : value;
  });
}
