// A server before the daemon that gives its page to anybody and everything else to those with a token only: by
// `Authorization: Bearer TOKEN`, or for a WebSocket by the subprotocols `restream` and `bearer.TOKEN`.
import { createServer } from "node:http";
import WebSocket, { WebSocketServer } from "ws";
import { atEnd } from "./processes.mjs";

export async function startRelay(daemonUrl, token) {
  const subprotocols = []; // of each WebSocket that was asked for
  const server = createServer(async (request, response) => {
    const isPage = request.url === "/" && request.headers.accept?.includes("text/html");
    if (!isPage && request.headers.authorization !== `Bearer ${token}`) {
      response.writeHead(401, { "Content-Type": "application/json" });
      return response.end('{"type":"error","code":"unauthorized","message":"a token is needed"}');
    }
    const answer = await fetch(`${daemonUrl}${request.url}`, { headers: { accept: request.headers.accept ?? "*/*" } });
    const kept = ["content-type", "content-security-policy"].filter((name) => answer.headers.has(name));
    response.writeHead(answer.status, Object.fromEntries(kept.map((name) => [name, answer.headers.get(name)])));
    response.end(await answer.text());
  });

  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "restream" });
  server.on("upgrade", (request, socket, head) => {
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(/, */).filter(Boolean);
    subprotocols.push(offered);
    if (!offered.includes(`bearer.${token}`)) return socket.end("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    sockets.handleUpgrade(request, socket, head, (near) => {
      const far = new WebSocket(`${daemonUrl.replace(/^http/, "ws")}/channels`);
      far.on("message", (data) => near.send(data.toString()));
      far.on("close", () => near.close());
      near.on("message", (data) => far.send(data.toString()));
      near.on("close", () => far.close());
    });
  });

  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  atEnd(() => {
    for (const client of sockets.clients) client.terminate();
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, subprotocols };
}
