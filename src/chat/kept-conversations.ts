/** All that keeps conversations: at a first visit it is fetched once the first answer has begun. */
import './conversation-notice';

export { KeptChat } from './kept-chat';
export { followAddress } from './routes';
