// Names of channels: the id "nyt-top?section=world", and a list of ids as the page's URL fragment. Pure.

// Everything but RFC 3986's unreserved characters is encoded, so an id never holds the ";" that parts the fragment.
export const percentEncode = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

export const queryOf = (params) =>
  Object.keys(params)
    .sort()
    .map((name) => `${percentEncode(name)}=${percentEncode(params[name])}`)
    .join("&");

export function channelId(channel, params) {
  const query = queryOf(params);
  return query === "" ? channel : `${channel}?${query}`;
}

// "#a?x=1;b" -> [{channel, params}, …]; what cannot be read is left out.
export function readFragment(fragment) {
  const ids = fragment.replace(/^#/, "").split(";").filter((id) => id !== "");
  return ids.flatMap((id) => {
    try {
      const [, name, query] = /^([^?]+)(?:\?(.*))?$/.exec(id);
      const pairs = (query ?? "").split("&").filter((pair) => pair !== "");
      const params = pairs.map((pair) => {
        const [, left, right] = /^([^=]+)=(.*)$/.exec(pair);
        return [decodeURIComponent(left), decodeURIComponent(right)];
      });
      return [{ channel: decodeURIComponent(name), params: Object.fromEntries(params) }];
    } catch {
      return [];
    }
  });
}

export const writeFragment = (list) => list.map(({ channel, params }) => channelId(percentEncode(channel), params)).join(";");
