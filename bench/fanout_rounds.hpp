// Rounds of the fan-out benchmark: the same bytes by restream, by a bare loop, and by other servers, in turns.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "fanout_bed.hpp"
#include "fanout_clients.hpp"
#include "peers.hpp"

namespace bench {

struct Figure {
  std::string who;
  std::vector<double> cost;   // µs of CPU for each delivered message, by round
  std::vector<double> waits;  // ms until the last subscriber had read all of it
  std::vector<double> serving;
  std::vector<double> ratios;  // to the raw loop of the same round
  std::vector<double> wait_ratios;
};

struct Figures {
  std::size_t burst = 0;
  std::size_t message = 0;  // bytes
  std::vector<Figure> servers;
};

// Another server, and those who are subscribed there.
struct Rival {
  Peer::Kind kind;
  std::unique_ptr<Clients> clients;
  std::unique_ptr<Peer> server;
};

struct RoundOptions {
  std::size_t rounds = 0;
  std::size_t size = 0;    // of a message, without its frame
  std::size_t more = 0;    // subscribers of restream besides the clients
  bool raw = true;         // beside the raw loop
  bool heartbeats = true;  // the clients are WebSockets
};

// A poll's items, of which `count` are new, each making a message of about `size` bytes.
std::string new_items(std::size_t count, std::size_t size);

Figures measure(const Bed& bed, Clients& clients, const std::vector<int>& sockets, const std::vector<Rival>& rivals,
                std::size_t burst, const RoundOptions& options);

struct Storm {
  double seconds = 0;         // until all of them were subscribed
  std::vector<double> alone;  // ms until the last of the others had a burst of 1
  std::vector<double> beside;
};
// Bursts of 1 alone, and while the clients of `storm`, `count` of them, connect and subscribe to a channel of their
// own.
Storm measure_storm(const Bed& bed, Clients& clients, Clients& storm, std::size_t count, std::size_t sockets,
                    const RoundOptions& options);

}  // namespace bench
