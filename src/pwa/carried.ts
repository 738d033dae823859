/**
 * What one tab of the page tells another through the service worker: a MessagePort takes no other way between tabs (a
 * BroadcastChannel carries none). Without `to` it goes to all tabs of the page, and no port with it.
 */
export interface Carried {
  /** what it is about */
  carried: string;
  /** a client's id: whose answer this is */
  to?: string;
  /** the sender's id, filled in on the way */
  from?: string;
}
