// The npm packages that tests in other folders use too; they are installed in this one.
export { EventSource } from "eventsource";
export { default as jsonPatch } from "fast-json-patch";
export { default as WebSocket } from "ws";
