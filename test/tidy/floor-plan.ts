/**
 * The floor plan as data: which rooms there are, whom each may enter, which package lives where, what may stand at the
 * top of the repository. ARCHITECTURE.md explains it; checks.ts holds every file against it.
 */

export interface Room {
  /** The path that its files begin with. */
  readonly place: string;
  /** Rooms whose files it may import. Its own are always open to it. */
  readonly enters: readonly string[];
  /** Rooms of which it may import types, because a type leaves no trace at run time. */
  readonly types?: readonly string[];
  /** Runs in browsers too, so nothing of Node's. */
  readonly browser?: true;
}

export const rooms: Readonly<Record<string, Room>> = {
  'the front door': { place: 'src/index.ts', enters: ['protocol', 'actor'] },
  protocol: { place: 'src/protocol/', enters: [], browser: true },
  actor: { place: 'src/actor/', enters: ['protocol'] },
  host: { place: 'src/host/', enters: ['protocol'] },
  transport: { place: 'src/transport/', enters: ['protocol', 'host'] },
  cluster: { place: 'src/cluster/', enters: ['protocol', 'host', 'transport'] },
  storage: { place: 'src/storage/', enters: ['protocol', 'host'] },
  backup: { place: 'src/backup/', enters: ['protocol', 'host', 'storage'] },
  runtime: { place: 'src/runtime/', enters: ['protocol', 'actor', 'host', 'storage'], types: ['transport'] },
  gateway: { place: 'src/gateway/', enters: ['protocol', 'host'], types: ['transport'] },
  bridge: { place: 'src/bridge/', enters: ['protocol', 'host', 'gateway', 'transport'] },
  client: { place: 'src/client/', enters: ['protocol'], types: ['actor'], browser: true },
  cli: {
    place: 'src/cli/',
    enters: ['protocol', 'actor', 'host', 'transport', 'cluster', 'storage', 'backup', 'runtime', 'gateway'],
  },
  testing: {
    place: 'src/testing/',
    enters: ['protocol', 'actor', 'host', 'transport', 'cluster', 'storage', 'backup', 'runtime', 'gateway'],
  },
  workers: {
    place: 'workers/',
    enters: ['protocol', 'actor', 'host', 'transport', 'cluster', 'storage', 'backup', 'runtime', 'gateway', 'bridge'],
  },
};

export interface Lodging {
  /** Beginnings of the paths that may import it. */
  readonly places: readonly string[];
  /** Places that may only try whether it loads, by `import()`. */
  readonly tried?: readonly string[];
}

/** Packages that the product uses, and the one room of each. No other package is imported by src/ or workers/. */
export const lodgings: Readonly<Record<string, Lodging>> = {
  'better-sqlite3': { places: ['src/storage/'] },
  nats: { places: ['src/transport/nats', 'src/cluster/'] },
  'uWebSockets.js': { places: ['src/gateway/'], tried: ['src/cli/doctor'] },
  jose: { places: ['src/gateway/auth'] },
  react: { places: ['src/client/react'] },
  immer: { places: ['src/runtime/state-engine.ts'] },
  pino: { places: ['src/host/log.ts'] },
  piscina: { places: ['src/backup/verify-pool.ts'] },
  'prom-client': { places: ['src/cli/metrics.ts'] },
  'pino-pretty': { places: ['src/host/log.ts'] },
};

/** Beginnings of the paths that may look at the environment. */
export const environmentPlaces = ['src/host/config', 'src/cli/main.ts'];

/** Lines that a file of a folder may have. The longest beginning counts. */
export const linesMax: Readonly<Record<string, number>> = { src: 300, workers: 40, bench: 300, test: 300 };

/** Names that say nothing about what is inside. */
export const emptyNames = [
  'utils',
  'util',
  'helpers',
  'helper',
  'manager',
  'service',
  'common',
  'misc',
  'shared',
  'stuff',
];

/** What may stand at the top; hidden files are their owner's affair. */
export const topLevel = [
  'src',
  'workers',
  'bench',
  'test',
  'data',
  'docs',
  'examples',
  'dist',
  'node_modules',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'biome.json',
  'vitest.config.ts',
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'LICENSE',
  'NOTICE',
  'Dockerfile',
  'docker-compose.yml',
  'deploy',
  'nginx.conf',
];
