/** The engine of a server that the person chose and agreed to. Fetched by who does. */
import { connect } from '../remote';
import type { ChatEngine } from '../ui/conversation/chat-engine';
import { checkAgreed, type ServerChoice } from '../ui/models/servers';

/** @throws invalid-option where the person has not agreed that what is typed goes there */
export function connectServer({ url, model, key }: ServerChoice): ChatEngine {
  checkAgreed(url);
  return connect(url, { model, ...(key && { key }) });
}
