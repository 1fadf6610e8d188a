/**
 * What brings together the lines that one call leaves in logs: its request id, and the W3C trace context of its caller.
 *
 * Behind the gateway a call carries both as one text, `<traceparent>|<request id>`, where either may be missing, and '' when
 * both are. Nobody takes it apart but who writes a line or is asked for it, so that a call without costs nothing.
 *
 * Both come from outside. A request id is checked before it is taken; a `traceparent` that is malformed counts as none, as
 * the specification says (w3.org/TR/trace-context, 3.2). So a text that is made here of what was checked is one by `isTrace`,
 * which is how another process knows it.
 */
import { callIdCharsMax } from './limits.ts';

/** The text of a call that has neither. */
export const noTrace = '';

/** Either may be ''. */
export function traceText(requestId: string, traceparent: string): string {
  return requestId === '' && traceparent === '' ? noTrace : `${traceparent}|${requestId}`;
}

/** The request id of one call among those of a connection: the connection's and the client's, as far as that may stand in lines. */
export function callRequestId(requestId: string, callId: string): string {
  return `${requestId}/${callId.replace(unprintable, '\ufffd')}`;
}

/** May another process have written this? `noTrace` is left out, not written. */
export function isTrace(text: string): boolean {
  const [, traceparent, requestId] = traceForm.exec(text) ?? [];
  if (requestId === undefined || requestId.length > callRequestIdCharsMax) return false;
  return requestId === '' ? traceparent !== undefined : requestId.search(unprintable) < 0;
}

/** What a line in the log says of it. */
export interface TraceFields {
  readonly requestId?: string;
  readonly traceId?: string;
}

export function traceFields(trace: string): TraceFields {
  if (trace === noTrace) return {};
  const traceparent = traceparentOf(trace);
  const requestId = trace.slice(trace.indexOf('|') + 1);
  return {
    ...(requestId === '' ? {} : { requestId }),
    ...(traceparent === undefined ? {} : { traceId: traceparent.slice(3, 35) }),
  };
}

/** In the form of version 00, whatever the version was that it came in. */
export function traceparentOf(trace: string): string | undefined {
  const end = trace.indexOf('|');
  return end > 0 ? trace.slice(0, end) : undefined;
}

/** What the caller sent as `traceparent`; '' when it is none. A later version is read as far as it is like version 00. */
export function parseTraceparent(value: unknown): string {
  if (typeof value !== 'string' || value.length > traceparentCharsMax) return '';
  const [, version, ids, flags, more] = traceparentForm.exec(value) ?? [];
  if (version === undefined || version === 'ff' || allZeros.test(ids!)) return '';
  if (version === '00') return more === '' ? value : '';
  return `00-${ids}-0${Number.parseInt(flags!, 16) & sampled}`;
}

/** Is this one that may stand in headers and lines? Others are ignored. */
export function isRequestId(text: string): boolean {
  return requestIdForm.test(text);
}

const requestIdCharsMax = 64;
const callRequestIdCharsMax = requestIdCharsMax + 1 + callIdCharsMax;
const requestIdForm = new RegExp(`^[A-Za-z0-9._-]{1,${requestIdCharsMax}}$`);
const traceForm = /^(00-[\da-f]{32}-[\da-f]{16}-[\da-f]{2})?\|(.*)$/s;
/** Controls, halves of surrogate pairs, and the two separators that break lines in logs and scripts. */
const unprintable = /[\p{Cc}\p{Cs}\u2028\u2029]/gu;
const traceparentForm = /^([\da-f]{2})-([\da-f]{32}-[\da-f]{16})-([\da-f]{2})(|-.*)$/;
const allZeros = /^0{32}-|-0{16}$/;
/** Of a later version; version 00 has 55. */
const traceparentCharsMax = 256;
/** The one flag that all versions share. */
const sampled = 1;
