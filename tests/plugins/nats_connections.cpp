// The live connections of a nats-server, from its monitoring endpoint. Traffic is an update, the passing of time is
// not.
#include <restream/fetcher.hpp>

namespace {

struct NatsConnections {
  static restream::json metadata() {
    return {{"name", "nats-connections"},
            {"description", "Live connections of a nats-server"},
            {"id_field", "cid"},
            {"api_url", "http://127.0.0.1:8222/connz"},
            {"doc_url", "https://docs.nats.io/running-a-nats-service/nats_admin/monitoring"},
            {"keys", restream::json::array()},
            {"poll_interval", 1},
            {"complete", true},
            {"ignore", {"/uptime", "/idle", "/last_activity", "/rtt", "/pending_bytes"}}};
  }

  static restream::Result fetch(restream::Context& context, const restream::Params&, const restream::Keys&) {
    // Without a limit the server shows 1,024 connections, and any beyond would count as gone.
    const auto answer = context.get("http://127.0.0.1:8222/connz?limit=65536");
    if (!answer.ok()) return answer.failure();
    return restream::items(answer.json().at("connections"));
  }
};

}  // namespace

RESTREAM_FETCHER(NatsConnections)
