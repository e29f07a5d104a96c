// restream-plugin: makes, checks and tries fetcher plugins. Understands the arguments; the verbs do the work.
//
// Exit codes: 0 fine, 1 a finding or a fault, 2 usage.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "http/http_client.hpp"
#include "keys/secret.hpp"
#include "tool/check.hpp"
#include "tool/project.hpp"
#include "tool/try.hpp"

namespace {

using namespace restream;
using namespace restream::tool;

constexpr const char* about =
    "Makes, checks and tries fetcher plugins: the shared libraries that teach restream an API.\n\n"
    "A new fetcher, from nothing:\n"
    "  restream-plugin new my-fetcher                  writes a project that builds and passes its test\n"
    "  restream-plugin try my-fetcher.so --record F    asks the API once, prints items and requests, keeps the "
    "exchange\n"
    "  restream-plugin check my-fetcher.so --replay F  does it keep the contract? Explains what it finds; no network\n"
    "Then copy my-fetcher.so into restreamd's plugins directory.";

constexpr const char* more =
    "Key values are never given as arguments, which `ps` shows to everybody: --keys names a file, or is - for "
    "standard\n"
    "input, with {\"FETCHER\": {\"KEY NAME\": \"VALUE\"}} as restream-keys export writes it; without --keys they are "
    "asked for\n"
    "at the terminal. In all that is printed or recorded they are replaced by [redacted].\n\n"
    "Exit codes: 0 fine, 1 a finding or a fault, 2 usage.\n"
    "`restream-plugin VERB --help` tells of one verb; restream-plugin(1) and docs/fetchers.md of all.";

// As they come from the command line; checked and turned into the verbs' options afterwards.
struct Given {
  ProjectOptions project;
  TryOptions trial;
  CheckOptions check;
  std::string sandbox = "required";
  std::string plugin, host, config = "{}", keys, origin, record, replay, proxy, ca_file;
  std::vector<std::string> params;
  double timeout = 30;
  double interval = 0;
  bool allow_private = false, json = false;
};

void add_plugin_options(CLI::App& verb, Given& given) {
  verb.add_option("FILE", given.plugin, "the plugin, such as ./my-fetcher.so")->required()->type_name(" ");
  verb.add_option("--keys", given.keys, "file with {fetcher: {key name: value}}, or - for standard input")
      ->type_name("FILE|-");
  verb.add_option("--replay", given.replay, "answer its HTTP requests from this recording; no network")->type_name("F");
  verb.add_option("--origin", given.origin, "send its requests here instead of to the API, for a local stand-in")
      ->type_name("URL");
  verb.add_flag("--allow-private", given.allow_private, "allow private and loopback addresses");
  verb.add_option("--config", given.config, "the free-form object that a configuration would give the fetcher")
      ->type_name("JSON")
      ->capture_default_str();
  verb.add_option("--proxy", given.proxy, "proxy for its requests")->type_name("URL");
  verb.add_option("--ca-file", given.ca_file, "trusted certificates, instead of the system's")->type_name("FILE");
  verb.add_option("--host", given.host, "another restream-fetcher-host than the one beside this program")
      ->type_name("FILE");
  verb.add_option("--sandbox", given.sandbox, "required, best-effort or off, as in restreamd's configuration")
      ->check(CLI::IsMember({"required", "best-effort", "off"}))
      ->type_name("MODE")
      ->capture_default_str();
  verb.add_flag("--json", given.json, "print one JSON object, for programs");
}

void add_new(CLI::App& app, Given& given) {
  auto* verb = app.add_subcommand("new", "Write a fetcher project that builds and passes its own test");
  verb->add_option("NAME", given.project.name, "the fetcher's name: lower-case letters, digits and '-'")
      ->required()
      ->type_name(" ");
  verb->add_option("--directory", given.project.directory, "where to; default: ./NAME")->type_name("D");
  verb->add_option("--language", given.project.language, "c++, c or rust")
      ->type_name("L")
      ->check(CLI::IsMember({"c++", "c", "rust"}))
      ->capture_default_str();
  verb->footer("Existing files are never overwritten.");
}

void add_check(CLI::App& app, Given& given) {
  auto* verb = app.add_subcommand("check", "Does the plugin keep the contract? Explains each finding");
  add_plugin_options(*verb, given);
  verb->add_option("--params", given.params, "params of a channel to check with, as a JSON object; may be repeated")
      ->type_name("JSON");
  verb->add_flag("--live", given.check.live, "ask the API once, and check with its answer (needs keys)");
  verb->footer(
      "Loads the plugin in the real fetcher host and looks at: load, metadata, requests, params, answers, deadlines,\n"
      "items, repeats, threads, output, keys. Each finding says what it is, why it matters and how to mend it.\n"
      "Without --replay or --live only made-up failures are answered, so items cannot be looked at.\n"
      "Keys are made up unless they are given.\n\n"
      "  restream-plugin check ./my-fetcher.so --replay samples/first.json");
}

void add_try(CLI::App& app, Given& given) {
  auto* verb = app.add_subcommand("try", "Perform one fetch through the real host and print what came of it");
  add_plugin_options(*verb, given);
  verb->add_option("--params", given.params, "params of the channel, as a JSON object")->type_name("JSON")->expected(1);
  verb->add_option("--record", given.record, "keep the HTTP exchange, without keys, in this file")->type_name("F");
  verb->add_option("--timeout", given.timeout, "seconds that the fetch may take")
      ->type_name("S")
      ->capture_default_str();
  verb->add_flag("--watch", given.trial.watch,
                 "poll again and again; print the changes as a subscriber would see them, one JSON object a line");
  verb->add_option("--interval", given.interval, "with --watch: seconds between polls; default: the fetcher's own")
      ->type_name("S");
  verb->add_option("--polls", given.trial.polls, "with --watch: end after so many polls; default: never")
      ->type_name("N");
  verb->footer(
      "The plugin runs in the same host as in restreamd, and its requests keep the same rules: only the origin of its\n"
      "api_url, no private addresses. Ends with 1 when the fetch failed.\n\n"
      "  restream-plugin try ./nyt-top.so --params '{\"section\": \"world\"}' --keys keys.json --record "
      "samples/world.json\n"
      "  restream-plugin try ./nyt-top.so --replay samples/world.json\n"
      "  restream-plugin try ./my-fetcher.so --origin http://127.0.0.1:9000 --allow-private --watch --interval 2");
}

// An empty text when all is well.
std::string complete(Given& given) {
  SubjectOptions subject;
  subject.plugin = given.plugin;
  subject.host = given.host;
  subject.config = given.config;
  subject.sandbox = given.sandbox == "required"      ? SandboxMode::required
                    : given.sandbox == "best-effort" ? SandboxMode::best_effort
                                                     : SandboxMode::off;
  if (!(given.timeout >= 1 && given.timeout <= 3600)) return "--timeout must be between 1 and 3600 seconds";
  subject.timeout = Millis(static_cast<Millis::rep>(given.timeout * 1000));
  if (!nlohmann::json::parse(given.config, nullptr, false).is_object())
    return R"(--config must be a JSON object, like '{"account": "acme"}')";
  if (given.interval != 0) {
    if (!(given.interval >= 0.1 && given.interval <= 86400)) return "--interval must be between 0.1 and 86400 seconds";
    given.trial.interval = Millis(static_cast<Millis::rep>(given.interval * 1000));
  }
  if (!given.origin.empty()) {
    const auto origin = origin_of(given.origin);
    if (!origin) return "--origin: " + origin.error();
    given.origin = *origin;
  }
  if (!given.replay.empty() && !given.record.empty()) return "--record and --replay make no sense together";
  if (!given.replay.empty() && given.check.live) return "--live and --replay make no sense together";
  for (const std::string& text : given.params) {
    auto params = parse_params(text);
    if (!params) return params.error();
    given.check.params.push_back(*params);
    given.trial.params = std::move(*params);
  }
  HttpOptions http;
  http.proxy = given.proxy;
  http.ca_file = given.ca_file;
  http.user_agent = std::string("restream/") + RESTREAM_VERSION;
  given.trial.subject = given.check.subject = subject;
  given.trial.http = given.check.http = http;
  given.trial.keys = given.check.keys = given.keys;
  given.trial.origin = given.check.origin = given.origin;
  given.trial.replay = given.check.replay = given.replay;
  given.trial.allow_private = given.check.allow_private = given.allow_private;
  given.trial.json = given.check.json = given.json;
  given.trial.record = given.record;
  return {};
}

int usage(const std::string& message) {
  std::fprintf(stderr, "restream-plugin: %s\n`restream-plugin --help` tells more.\n", message.c_str());
  return exit_usage;
}

int run(int argc, char** argv) {
  CLI::App app(about, "restream-plugin");
  Given given;
  app.set_version_flag("--version", std::string("restream-plugin ") + RESTREAM_VERSION);
  app.require_subcommand(1);
  add_new(app, given);
  add_check(app, given);
  add_try(app, given);
  app.footer(more);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help, --version
    return app.exit(wanted);
  } catch (const CLI::ExtrasError&) {
    // Not repeated: it may be a key's value.
    return usage("there is an argument too many, or an unknown option");
  } catch (const CLI::RequiredError& error) {
    return usage(app.get_subcommands().empty() ? "say what to do: new, check or try" : error.what());
  } catch (const CLI::ParseError& error) {
    return usage(error.what());
  }
  const std::string verb = app.get_subcommands().front()->get_name();
  if (verb == "new") return run_new(given.project);
  if (const std::string problem = complete(given); !problem.empty()) return usage(problem);
  if (const std::string problem = sandbox_problem(given.trial.subject); !problem.empty()) {
    std::fprintf(stderr, "restream-plugin: %s\n", problem.c_str());
    return exit_fault;
  }
  return verb == "check" ? run_check(given.check) : run_try(given.trial);
}

}  // namespace

int main(int argc, char** argv) {
  keys::init_secure_memory();
  signal(SIGPIPE, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "restream-plugin: %s\n", fault.what());
    return exit_fault;
  }
}
