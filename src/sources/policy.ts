/**
 * What the Content-Security-Policy of this page or worker has forbidden. To fetch() it looks like a dead line: only
 * this event tells, which may come a moment after the failure.
 */
const forbidden = new Set<string>();

globalThis.addEventListener?.('securitypolicyviolation', (event) => {
  const { effectiveDirective, blockedURI } = event as SecurityPolicyViolationEvent;
  // others are words: "inline", "eval"
  if (effectiveDirective === 'connect-src' && /^\w+:\/\//.test(blockedURI)) forbidden.add(new URL(blockedURI).origin);
});

/** Whether a connection to this address has been refused by policy. */
export const forbiddenByPolicy = (url: string): boolean => forbidden.has(new URL(url).origin);
