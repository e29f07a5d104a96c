// Lists what the server offers. Texts go into the page as text, never as markup: they come from plugins and APIs.
"use strict";

const socketAddress = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/channels`;

function row(texts) {
  const line = document.createElement("tr");
  texts.forEach((text, i) => {
    const cell = document.createElement(i === 0 ? "th" : "td");
    if (i === 0) cell.scope = "row";
    cell.textContent = text ?? "";
    line.append(cell);
  });
  return line;
}

function showExample(fetcher) {
  const request = JSON.stringify({ action: "subscribe", channel: fetcher?.name ?? "NAME", params: fetcher?.example_params });
  document.getElementById("address").textContent = socketAddress;
  document.getElementById("example").textContent = [
    `const socket = new WebSocket(${JSON.stringify(socketAddress)});`,
    "socket.onmessage = (event) => console.log(JSON.parse(event.data));",
    "socket.onclose = (event) => console.log(\"closed\", event.code, event.reason);",
    `socket.onopen = () => socket.send(JSON.stringify(${request}));`,
  ].join("\n");
}

async function showList(name, empty, texts) {
  const note = document.getElementById(`${name}-note`);
  try {
    const response = await fetch(`/${name}`);
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.message ?? `HTTP status ${response.status}`);
    const list = answer[name];
    note.textContent = list.length === 0 ? empty : "";
    note.hidden = list.length > 0;
    const table = document.getElementById(name);
    table.hidden = list.length === 0;
    table.tBodies[0].replaceChildren(...list.map((one) => row(texts(one))));
    return list;
  } catch (error) {
    note.textContent = `The list could not be loaded: ${error.message}. Reload the page to try again.`;
    return [];
  }
}

const reasoned = (state, reason) => (reason ? `${state} (${reason})` : state);

showExample();
showList("fetchers", "No plugin is loaded yet.", (one) => [
  one.name,
  one.description,
  one.health && reasoned(one.health.state, one.health.reason),
]).then((list) => list.length > 0 && showExample(list[0]));
showList("channels", "Nobody has asked for a channel yet.", (one) => [
  one.id,
  reasoned(one.state, one.reason),
  one.items,
  one.subscribers,
]);
