/**
 * Formats of strings as patterns: of each what every validator takes (RFC 3339, 3986, 4122, 1123, 6901 and others), and
 * not all that the RFCs allow.
 */
const DATE =
  '(?:\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8])))';
const CLOCK = '(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?';
const ZONE = '(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)';
const N = '\\d{1,4}';
const DAYS = `(?:${N}Y(?:${N}M(?:${N}D)?)?|${N}M(?:${N}D)?|${N}D)`;
const HOURS = `T(?:${N}H(?:${N}M(?:${N}S)?)?|${N}M(?:${N}S)?|${N}S)`;
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?';
const HOST = `${LABEL}(?:\\.${LABEL}){0,5}`;
const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const GROUP = '[0-9a-fA-F]{1,4}';
const NAME = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]";
const PATH = "[a-zA-Z0-9._~!$&'()*+,;=:@-]";
const POINTER = '(?:/(?:[^~/\\x00-\\x1f]|~[01])*)*';
const URI = `https?://${HOST}(?::[1-9]\\d{0,3})?(?:/${PATH}*)*(?:\\?${PATH}*)?(?:#${PATH}*)?`;
const REFERENCE = `(?:${URI}|(?:/${PATH}+)+|#${PATH}*)`;

/** By name. */
export const FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: `${CLOCK}${ZONE}`,
  'date-time': `${DATE}T${CLOCK}${ZONE}`,
  duration: `P(?:${N}W|${DAYS}(?:${HOURS})?|${HOURS})`,
  email: `${NAME}+(?:\\.${NAME}+){0,5}@${LABEL}(?:\\.${LABEL}){1,5}`,
  hostname: HOST,
  ipv4: `${BYTE}(?:\\.${BYTE}){3}`,
  ipv6: `(?:${GROUP}:){7}${GROUP}`,
  uri: URI,
  'uri-reference': REFERENCE,
  uuid: '[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}',
  'json-pointer': POINTER,
  'relative-json-pointer': `(?:0|[1-9]\\d{0,5})(?:#|${POINTER})`,
};
