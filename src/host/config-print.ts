/** `--print-config`: every value with its origin, secrets hidden, as a table for people or as JSON. */
import type { LoadedConfig } from './config-load.ts';
import { label, type Origin } from './config-reader.ts';
import { flagOf, settingNames, settingOf } from './config-settings.ts';

interface Row {
  readonly name: string;
  readonly value: unknown;
  readonly origin: Origin;
}

export function printConfig(loaded: LoadedConfig): string {
  const rows = rowsOf(loaded).map(({ name, value, origin }) => [
    name,
    textOf(value),
    origin.kind === 'default' ? 'default' : label(origin),
  ]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map(([name, value, origin]) => `${name!.padEnd(widths[0]!)}  ${value!.padEnd(widths[1]!)}  ${origin}`)
    .join('\n');
}

export function printConfigJson(loaded: LoadedConfig): string {
  const rows = rowsOf(loaded).map(({ name, value, origin }) => {
    const setBy = origin.kind === 'default' ? {} : { setBy: origin.name };
    return [name, { value: value ?? null, source: origin.kind === 'environment' ? 'env' : origin.kind, ...setBy }];
  });
  return JSON.stringify(Object.fromEntries(rows), null, 2);
}

function rowsOf({ config, origins, limitOrigins }: LoadedConfig): Row[] {
  const rows: Row[] = [];
  for (const name of settingNames) {
    const setting = settingOf(name);
    if (setting.of === undefined) continue;
    const value = setting.of(config);
    const shown =
      setting.secret && typeof value === 'string'
        ? `[hidden, ${Buffer.byteLength(value)} bytes]`
        : withoutPassword(value);
    rows.push({ name: flagOf(name).slice(2), value: shown, origin: origins.get(name) ?? { kind: 'default' } });
  }
  for (const [name, value] of Object.entries(config.limits)) {
    rows.push({ name: `limit ${name}`, value, origin: limitOrigins.get(name) ?? { kind: 'default' } });
  }
  return rows;
}

/** A URL may carry a user and a password in front of its host. */
function withoutPassword(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPassword);
  return typeof value === 'string' ? value.replace(/^([a-z]+:\/\/)[^/@]*@/i, '$1[hidden]@') : value;
}

function textOf(value: unknown): string {
  if (value === undefined) return 'none';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
