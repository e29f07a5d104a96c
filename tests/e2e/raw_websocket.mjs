// A WebSocket client that can do everything wrong: it sends the frames it is told to, byte by byte.
import { once } from "node:events";
import net from "node:net";
import { randomBytes } from "node:crypto";
import { eventually } from "./processes.mjs";

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

export class RawWebSocket {
  frames = []; // {opcode, payload}, as they came
  ended = false;
  #buffer = Buffer.alloc(0);
  #handshake = null;

  // The handshake's answer is in `handshake` afterwards; more header lines may be given.
  static async connect(port, headerLines = []) {
    const made = new RawWebSocket();
    made.socket = net.connect(port, "127.0.0.1");
    await once(made.socket, "connect");
    made.socket.on("data", (data) => made.#take(data));
    made.socket.on("close", () => (made.ended = true));
    made.socket.on("error", () => (made.ended = true));
    const lines = [
      "GET /channels HTTP/1.1", `Host: 127.0.0.1:${port}`, "Upgrade: websocket", "Connection: Upgrade",
      `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`, "Sec-WebSocket-Version: 13", ...headerLines,
    ];
    made.socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    await eventually(() => made.#handshake ?? made.ended, { what: "an answer to the handshake" });
    made.handshake = made.#handshake;
    return made;
  }

  // `length` writes that length into the header, whatever the payload is.
  send(opcode, payload = "", { fin = true, rsv = 0, mask = true, length } = {}) {
    const data = Buffer.from(payload);
    const said = BigInt(length ?? data.length);
    const head = [Buffer.from([(fin ? 0x80 : 0) | (rsv << 4) | opcode])];
    const masked = mask ? 0x80 : 0;
    if (said < 126n) {
      head.push(Buffer.from([masked | Number(said)]));
    } else if (said < 65_536n) {
      const two = Buffer.alloc(2);
      two.writeUInt16BE(Number(said));
      head.push(Buffer.from([masked | 126]), two);
    } else {
      const eight = Buffer.alloc(8);
      eight.writeBigUInt64BE(said);
      head.push(Buffer.from([masked | 127]), eight);
    }
    const key = randomBytes(4);
    if (mask) head.push(key);
    this.socket.write(Buffer.concat([...head, mask ? data.map((byte, i) => byte ^ key[i % 4]) : data]));
  }

  // The code of the close frame that the daemon sends, and its reason. The connection must end after it.
  async waitForClose() {
    const frame = await eventually(() => this.frames.find(({ opcode }) => opcode === OPCODE.close), {
      what: "a close frame",
    });
    this.send(OPCODE.close, frame.payload);
    await eventually(() => this.ended, { what: "an end of the connection after the close" });
    if (frame.payload.length < 2) return { code: 1005, reason: "" };
    return { code: frame.payload.readUInt16BE(0), reason: frame.payload.subarray(2).toString() };
  }

  destroy() {
    this.socket.destroy();
  }

  #take(data) {
    this.#buffer = Buffer.concat([this.#buffer, data]);
    if (!this.#handshake) {
      const end = this.#buffer.indexOf("\r\n\r\n");
      if (end < 0) return;
      const text = this.#buffer.subarray(0, end).toString();
      this.#handshake = { status: Number(text.split(" ")[1]), text };
      this.#buffer = this.#buffer.subarray(end + 4);
      if (this.#handshake.status !== 101) return;
    }
    if (this.#handshake.status === 101) while (this.#takeFrame());
  }

  // Frames from a server are not masked and, of this one, never fragmented.
  #takeFrame() {
    const buffer = this.#buffer;
    if (buffer.length < 2) return false;
    let length = buffer[1] & 0x7f;
    let at = 2;
    if (length === 126) {
      if (buffer.length < 4) return false;
      length = buffer.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      if (buffer.length < 10) return false;
      length = Number(buffer.readBigUInt64BE(2));
      at = 10;
    }
    if (buffer.length < at + length) return false;
    this.frames.push({ opcode: buffer[0] & 0x0f, first: buffer[0], payload: buffer.subarray(at, at + length) });
    this.#buffer = buffer.subarray(at + length);
    return true;
  }
}
