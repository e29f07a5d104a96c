// restreamctl: asks a running restreamd, over its control socket.
//
// Exit codes: 0 fine, 1 refused or no daemon, 2 usage.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "control_socket.hpp"
#include "keys/shell_word.hpp"
#include "ops/utf8.hpp"
#include "status_text.hpp"

namespace {

using nlohmann::json;
using restream::printable;
using restream::printable_json;
using restream::keys::shell_word;

constexpr int exit_fine = 0;
constexpr int exit_refused = 1;
constexpr int exit_usage = 2;

int complain(const std::string& message) {
  std::fprintf(stderr, "restreamctl: %s\n", message.c_str());
  return exit_refused;
}

// The one line of an answer, printed. A tail's lines are events until an `ok` says otherwise.
int answer(const std::string& line, bool as_json, const std::string& command) {
  const json said = json::parse(line, nullptr, false);
  if (!said.is_object()) return complain("restreamd answered with something else: " + printable(line.substr(0, 200)));
  if (said.contains("ok") && !said.value("ok", false)) return complain(printable(said.value("message", "refused")));
  if (as_json || !said.contains("ok")) {
    std::printf("%s\n", printable_json(said.contains("status") ? said["status"].dump(2) : line).c_str());
  } else if (said.contains("status")) {
    std::fputs(status_text(said["status"], command).c_str(), stdout);
  } else {
    std::printf("%s\n", printable(said.value("message", ""), true).c_str());
  }
  std::fflush(stdout);
  return exit_fine;
}

int usage(const CLI::App& app) {
  std::string verbs;
  for (const CLI::App* verb : app.get_subcommands({})) verbs += (verbs.empty() ? "" : ", ") + verb->get_name();
  const std::vector<std::string> words = app.remaining();
  complain((words.empty() ? "say what to do: " : "there is no command '" + printable(words.front()) + "', but ") +
           verbs + ". `restreamctl --help` tells more");
  return exit_usage;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"restreamctl asks a running restreamd.", "restreamctl"};
  app.footer(
      "Examples:\n"
      "  restreamctl status                       how is it?\n"
      "  restreamctl tail 'nyt-top?section=home'  what comes in, one JSON message a line, until Ctrl-C\n"
      "  restreamctl poll 'nyt-top?section=home'  ask the API now, within the quota\n\n"
      "Exit codes: 0 fine, 1 refused or no daemon, 2 usage.");
  const std::string usual_socket = "/var/lib/restream/control.sock";
  std::string socket = usual_socket;
  bool as_json = false;
  std::string name;
  app.add_option("--socket", socket, "The socket in restreamd's state directory")->capture_default_str();
  app.set_version_flag("--version", std::string("restream ") + RESTREAM_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_subcommand("status", "Fetchers and channels, their health, what to do next")
      ->add_flag("--json", as_json, "As one JSON object");
  const auto with_channel = [&](const char* verb, const char* help) {
    app.add_subcommand(verb, help)
        ->add_option("CHANNEL", name, "As in `restreamctl status`: nyt-top?section=home")
        ->required();
  };
  with_channel("poll", "Poll a channel that somebody follows now, within its quota");
  with_channel("tail", "Print a channel's messages as they come");
  with_channel("forget", "Drop a channel that nobody follows, with its items and its log");
  app.add_subcommand("release", "Start a plugin again that is held because it crashed too often")
      ->add_option("FETCHER", name, "The fetcher's name")
      ->required();
  app.add_subcommand("backup", "Copy the state to STATE/backup, whole and as of now, beside the running service");
  app.add_subcommand("reload", "Read configuration, keys, tokens, certificates and plugins anew");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0 && app.get_subcommands().empty()) return usage(app);
    return app.exit(error) == 0 ? exit_fine : exit_usage;
  }
  const json request = {{"verb", app.get_subcommands().front()->get_name()}, {"name", name}};
  const std::string command = socket == usual_socket ? "restreamctl" : "restreamctl --socket " + shell_word(socket);
  int code = exit_refused;
  bool answered = false;
  // A word of the command line may be no UTF-8: then it names nothing that there is.
  const std::string text = request.dump(-1, ' ', false, json::error_handler_t::replace);
  const auto done = ask(socket, text, [&](const std::string& line) {
    answered = true;
    code = answer(line, as_json, command);
  });
  if (!done) return complain(done.error());
  if (!answered) return complain("restreamd closed the connection without an answer");
  return code;
}
