/** Edits of a state of any shape: each finds its place by numbers, so that random ones always mean something. */
import { z } from 'zod';

export type Sheet = Record<string, unknown>;

export const editSchema = z.object({
  /** Which container: at each step one of the containers inside, by number modulo how many there are. */
  at: z.array(z.number()),
  act: z.enum([
    'set',
    'delete',
    'unset',
    'push',
    'unshift',
    'insert',
    'replace',
    'pop',
    'shift',
    'splice',
    'reverse',
    'sort',
    'shrink',
    'clear',
    'again',
    'move',
  ]),
  /** Of an object. */
  key: z.string(),
  /** Of a list, modulo its length. */
  index: z.number(),
  value: z.unknown(),
});

export type Edit = z.infer<typeof editSchema>;

export function edit(sheet: Sheet, { at, act, key, index, value }: Edit): void {
  const target = placeOf(sheet, at);
  if (Array.isArray(target)) editList(target, act, index, value);
  else editObject(target, act, key, index, value);
}

function placeOf(sheet: Sheet, at: readonly number[]): Sheet | unknown[] {
  let place: Sheet | unknown[] = sheet;
  for (const step of at) {
    const inside: (Sheet | unknown[])[] = Object.values(place).filter(isContainer);
    if (inside.length === 0) break;
    place = inside[step % inside.length]!;
  }
  return place;
}

function editList(list: unknown[], act: Edit['act'], number: number, value: unknown): void {
  const index = list.length === 0 ? 0 : number % list.length;
  switch (act) {
    case 'set':
    case 'push':
      list.push(value);
      return;
    case 'unshift':
      list.unshift(value);
      return;
    case 'insert':
      list.splice(index, 0, value, value);
      return;
    case 'replace':
      list[index] = value;
      return;
    case 'pop':
      list.pop();
      return;
    case 'shift':
      list.shift();
      return;
    case 'delete':
    case 'unset':
      list.splice(index, 1);
      return;
    case 'splice':
      list.splice(index, 2, value, number, value);
      return;
    case 'reverse':
      list.reverse();
      return;
    case 'sort':
      list.sort((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1));
      return;
    case 'shrink':
      list.length = index;
      return;
    case 'clear':
      list.splice(0);
      return;
    case 'again':
      if (list.length > 0) list.push(list[index]);
      return;
    case 'move':
      list.unshift(...list.splice(index, 1));
  }
}

function editObject(object: Sheet, act: Edit['act'], key: string, number: number, value: unknown): void {
  const keys = Object.keys(object);
  const known = keys.length === 0 ? key : keys[number % keys.length]!;
  switch (act) {
    case 'delete':
    case 'pop':
    case 'shift':
      delete object[known];
      return;
    case 'clear':
    case 'shrink':
      for (const one of keys) delete object[one];
      return;
    case 'again':
      // An object within itself would be none of JSON.
      if (keys.length > 0 && key !== known) object[key] = object[known];
      return;
    case 'move': {
      if (keys.length === 0) return;
      const moved = object[known];
      delete object[known];
      object[key] = moved;
      return;
    }
    case 'unset':
      object[known] = undefined;
      return;
    case 'replace':
      object[known] = value;
      return;
    case 'set':
    case 'push':
    case 'unshift':
    case 'insert':
    case 'splice':
    case 'reverse':
    case 'sort':
      object[key] = value;
  }
}

function isContainer(value: unknown): value is Sheet | unknown[] {
  return typeof value === 'object' && value !== null;
}
