// Lines to paste elsewhere that subscribe to the same channel. Pure. Params may come from a stranger's link, and the
// lines go into a shell: no value may end its quotes or hold a control character.
import { percentEncode, queryOf } from "./channels.mjs";

// JSON without an apostrophe or a control character in it, so that it can stand between apostrophes.
const quotableJson = (value) =>
  JSON.stringify(value).replace(/['\u007f-\u009f\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);

const TOKEN_HEADER = '-H "Authorization: Bearer $RESTREAM_TOKEN"';

// `base` is the URL of the folder that holds this page; withToken: the server wants one, which is never shown.
export function commandsFor({ channel, params }, base, withToken) {
  const socket = `${base.replace(/^http/, "ws")}channels`;
  const query = queryOf(params);
  const address = `${base}channels/${percentEncode(channel)}${query && `?${query}`}`;
  const request = quotableJson({ action: "subscribe", channel, params });
  const token = withToken ? ` ${TOKEN_HEADER}` : "";
  return [
    { name: "wscat", text: `npx wscat -c ${socket}${token} -w 600 -x '${request}'` },
    { name: "curl, live (SSE)", text: `curl -N${token} -H 'Accept: text/event-stream' '${address}'` },
    { name: "curl, once (JSON)", text: `curl -s${token} '${address}'` },
    {
      name: "JavaScript",
      text: [
        withToken
          ? `const socket = new WebSocket("${socket}", ["restream", "bearer." + token]);`
          : `const socket = new WebSocket("${socket}");`,
        "socket.onmessage = (event) => console.log(JSON.parse(event.data));",
        `socket.onopen = () => socket.send(JSON.stringify(${request}));`,
      ].join("\n"),
    },
  ];
}
