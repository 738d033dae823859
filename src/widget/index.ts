/** The widget's one script: defines <nibble-chat>. */
import { define } from '../ui/define';
import { NibbleChat } from './nibble-chat';

define('nibble-chat', NibbleChat);
