/** A string as JSON. Plain ones, which nearly all ids and names are, need no escaping and are told by a look. */
export function quote(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text);
}

const plain = /^[\w.:-]*$/;
