#include "peers.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

namespace bench {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view nchan_module = "/usr/lib/nginx/modules/ngx_nchan_module.so";

std::string nginx_configuration(const fs::path& folder, std::uint16_t port) {
  return "load_module " + std::string(nchan_module) + ";\npid " + (folder / "pid").string() + ";\nerror_log " +
         (folder / "error.log").string() + ";\ndaemon off; worker_processes 1; worker_rlimit_nofile 65536;\n" +
         "events { worker_connections 40000; }\nhttp {\n  access_log off; keepalive_requests 1000000;\n" +
         "  client_body_temp_path " + (folder / "body").string() +
         ";\n  server {\n    listen 127.0.0.1:" + std::to_string(port) +
         " backlog=4096;\n    location = /sub { nchan_subscriber websocket; nchan_channel_id one;" +
         " nchan_subscriber_first_message newest; }\n    location = /pub { nchan_publisher http; nchan_channel_id "
         "one;" +
         " nchan_message_buffer_length 100; }\n  }\n}\n";
}

// As packaged, but for ports, folders and limits that would otherwise drop messages.
std::string pushpin_configuration(const fs::path& folder, std::uint16_t port, std::uint16_t publish_port) {
  const auto spec = [] { return "tcp://127.0.0.1:" + std::to_string(free_port()); };
  return "[global]\ninclude={libdir}/internal.conf\nrundir=" + folder.string() +
         "\nipc_prefix=bench-\nport_offset=0\nstats_connection_ttl=120\n[runner]\n"
         "services=condure,pushpin-proxy,pushpin-handler\nhttp_port=127.0.0.1:" +
         std::to_string(port) + "\nlogdir=" + folder.string() +
         "\nlog_level=1\nclient_buffer_size=8192\nclient_maxconn=50000\n[proxy]\nroutesfile=" +
         (folder / "routes").string() + "\n[handler]\npush_in_spec=" + spec() + "\npush_in_sub_specs=" + spec() +
         "\npush_in_http_addr=127.0.0.1\npush_in_http_port=" + std::to_string(publish_port) +
         "\npush_in_http_max_headers_size=10000\npush_in_http_max_body_size=1000000\n"
         "stats_spec=ipc://{rundir}/{ipc_prefix}stats\ncommand_spec=" +
         spec() + "\nmessage_rate=10000000\nmessage_hwm=10000000\nmessage_wait=5000\nconnection_subscription_max=20\n";
}

}  // namespace

bool Peer::installed(Kind kind) {
  return kind == Kind::nchan ? fs::exists("/usr/sbin/nginx") && fs::exists(nchan_module)
                             : fs::exists("/usr/bin/pushpin");
}

Peer::Peer(Kind kind, const fs::path& folder) : kind_(kind), port_(free_port()) {
  if (!installed(kind)) throw std::runtime_error(std::string(name(kind)) + " is not installed");
  fs::create_directories(folder);
  if (kind == Kind::nchan) {
    publish_port_ = port_;
    std::ofstream(folder / "nginx.conf") << nginx_configuration(folder, port_);
    child_ =
        std::make_unique<Child>(std::vector<std::string>{"/usr/sbin/nginx", "-p", folder, "-c", folder / "nginx.conf"});
  } else {
    publish_port_ = free_port();
    std::ofstream(folder / "pushpin.conf") << pushpin_configuration(folder, port_, publish_port_);
    std::ofstream(folder / "routes") << "* test\n";  // its built-in target, which needs no backend
    child_ = std::make_unique<Child>(std::vector<std::string>{"/usr/bin/pushpin", "--config", folder / "pushpin.conf"});
  }
  Child::wait_for(port_, std::string(name(kind)));
  Child::wait_for(publish_port_, std::string(name(kind)));
}

void Peer::publish(const std::string& message) {
  if (kind_ == Kind::nchan) return post("/pub", message);
  const nlohmann::json item = {{"channel", "test"}, {"formats", {{"ws-message", {{"content", message}}}}}};
  post("/publish/", nlohmann::json{{"items", {item}}}.dump());
}

void Peer::post(std::string_view path, const std::string& body) {
  std::string request = "POST " + std::string(path) +
                        " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n";
  request += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  // Not every one of them keeps such a connection open.
  const int fd = connect_to(publish_port_);
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) throw std::runtime_error("cannot publish");
  std::array<char, 4096> answer{};
  const ssize_t size = read(fd, answer.data(), answer.size());
  close(fd);
  const std::string_view text(answer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  if (!text.starts_with("HTTP/1.1 2"))
    throw std::runtime_error("refused to publish: " + std::string(text.substr(0, 80)));
}

double Peer::cpu_seconds() const {
  double nanoseconds = 0;
  for (const pid_t process : descendants(child_->pid()))
    for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
      std::ifstream schedstat(task.path() / "schedstat");
      double ran = 0;
      if (schedstat >> ran) nanoseconds += ran;
    }
  return nanoseconds / 1e9;
}

}  // namespace bench
