/** Says of which actors the rows need not be sound: those that are closed off, because theirs failed a check. */
export type Skips = (type: string, id: string) => boolean;
