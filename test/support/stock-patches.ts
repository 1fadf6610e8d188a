/**
 * Patches as stock clients apply them: `add` in an array sets the index, `remove` takes the element out, and a path is
 * split and unescaped part by part.
 */
export interface PatchOp {
  readonly op: 'add' | 'replace' | 'remove';
  readonly path: string;
  readonly value?: unknown;
}

export function patched(state: unknown, patches: readonly PatchOp[]): unknown {
  let root: unknown = structuredClone(state);
  for (const { op, path, value } of patches) {
    const parts = path
      .split('/')
      .slice(1)
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = parts.pop();
    if (last === undefined) {
      root = structuredClone(value);
      continue;
    }
    let parent = root as Record<string, unknown>;
    for (const part of parts) parent = parent[part] as Record<string, unknown>;
    if (op !== 'remove') parent[last] = structuredClone(value);
    else if (Array.isArray(parent)) parent.splice(Number(last), 1);
    else delete parent[last];
  }
  return root;
}
