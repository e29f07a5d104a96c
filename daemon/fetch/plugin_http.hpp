// A plugin's HTTP, between what it asks by way of its host and what the client does: pure translation, the same for the
// daemon and for restream-plugin.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "fetch/host_process.hpp"
#include "fetch/plugin.hpp"
#include "http/http_client.hpp"
#include "model/clock.hpp"

namespace restream {

// The HTTP of a call ends before the call does, so that a slow API is told apart from a plugin that hangs.
Millis http_part(Millis call_timeout);

// What it holds in memory, about.
std::size_t size_of(const HostHttpRequest& asked);

// Deadline, rules and budget are the caller's to add.
HttpRequest request_of(HostHttpRequest asked);
HostHttpResponse response_of(HttpResult result);

// What was seen of one request, into the reply to the call that made it. Returns what this answer alone asked for.
Hints note_answer(PluginReply& reply, const HttpResult& result, WallTime now);

// For log lines: without query, fragment and user, which may hold keys, and at most 300 bytes.
std::string shown_url(std::string_view url);

}  // namespace restream
