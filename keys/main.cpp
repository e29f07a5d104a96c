// restream-keys: the keystore's command line. Understands the arguments; verbs.cpp does the work.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <string>

#include "keys/secret.hpp"
#include "keys/verbs.hpp"

namespace {

using restream::keys::Request;

constexpr const char* kAbout =
    "Keeps the API keys of restream's fetchers in one encrypted file.\n\n"
    "A key belongs to a fetcher and has the name that the fetcher gives it (the `keys` in its metadata).\n"
    "Values are read from the terminal or standard input, never from the command line, where `ps` shows them.";

constexpr const char* kMore =
    "The master key opens the keystore. SOURCE is exactly one of\n"
    "  PATH             a file of 32 bytes, mode 0400 or 0600; `init` makes it\n"
    "  credential:NAME  systemd's credential NAME, inside a unit\n"
    "  passphrase       typed at the terminal, or the first line of standard input with --passphrase-stdin\n\n"
    "Examples\n"
    "  restream-keys init                            make master key and keystore, once\n"
    "  restream-keys set nyt-top api-key             type or paste the key; it is not shown\n"
    "  restream-keys set nyt-top api-key < key.txt   or from a file (a line end at its end is left out)\n"
    "  restream-keys import keys.json                {\"nyt-top\": {\"api-key\": \"...\"}}\n"
    "  restream-keys list                            names, never values\n\n"
    "Every command adds a line to FILE.audit: when, who, what, which names; never a value.\n"
    "A running restreamd notices a changed keystore by itself.\n\n"
    "Exit codes: 0 done, 2 usage, 3 no such entry, 4 wrong master key, 5 damaged or unknown version,\n"
    "6 permissions, 7 locked by another writer for 5 seconds, 8 an older keystore was put in place, 9 I/O";

void add_entry(CLI::App& verb, Request& request, bool key_required) {
  verb.add_option("FETCHER", request.fetcher, "the fetcher, such as nyt-top")->required();
  verb.add_option("KEY", request.key, "the key's name, such as api-key")->required(key_required);
}

void add_verbs(CLI::App& app, Request& request) {
  app.footer("`restream-keys --help` shows the options that go with every command: --file, --master-key.");
  app.add_subcommand("init", "Make a new, empty keystore, and the master key unless it is there");
  auto* set = app.add_subcommand("set", "Set one key; its value comes from the terminal or standard input");
  add_entry(*set, request, true);
  auto* get = app.add_subcommand("get", "Show one key's value");
  add_entry(*get, request, true);
  get->add_flag("--reveal", request.reveal, "yes, show it");
  app.add_subcommand("list", "Show the names of all keys, one `FETCHER KEY` a line, never a value");
  auto* rm = app.add_subcommand("rm", "Remove one key, or all keys of a fetcher");
  add_entry(*rm, request, false);
  auto* import = app.add_subcommand("import", "Add keys from a JSON object {fetcher: {key name: value}}, all or none");
  import->add_option("FILE", request.from, "the file, or - for standard input")->required();
  import->add_flag("--overwrite", request.overwrite, "replace keys that are in the keystore already");
  auto* exported = app.add_subcommand("export", "Write all keys as that JSON object, in the clear");
  exported->add_flag("--plaintext", request.plaintext, "yes, in the clear");
  exported->add_flag("--yes", request.yes, "yes, really");
  app.add_subcommand("verify", "Check permissions, open everything, change nothing");
  app.add_subcommand("rekey", "Seal the keystore under a new master key, which takes the old one's place");
}

int parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::Success& wanted) {  // --help, --version
    app.exit(wanted);
    return -1;
  } catch (const CLI::ExtrasError&) {
    // Not repeated: it may well be a key's value.
    std::cerr << "restream-keys: there is an argument too many, or an unknown option. Values are never given as "
                 "arguments:\nif that was a key, others may have seen it, so get a new one from the API.\n";
  } catch (const CLI::RequiredError& error) {
    const bool verb_given = !app.get_subcommands().empty();
    std::cerr << "restream-keys: " << (verb_given ? error.what() : "say what to do: init, set, list, ...") << "\n";
  } catch (const CLI::ParseError& error) {
    std::cerr << "restream-keys: " << error.what() << "\n";
  }
  std::cerr << "`restream-keys --help` tells more.\n";
  return 2;
}

// With one of the first three descriptors closed, the next file to be opened would take its place.
void open_standard_descriptors() {
  int fd = 0;
  do {
    fd = open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
  restream::keys::init_secure_memory();
  try {
    Request request;
    CLI::App app(kAbout, "restream-keys");
    app.set_version_flag("--version", "restream-keys " RESTREAM_VERSION);
    app.add_option("--file", request.file, "the keystore")->capture_default_str();
    app.add_option("--master-key", request.master_key, "where the master key comes from")
        ->type_name("SOURCE")
        ->capture_default_str();
    app.add_flag("--passphrase-stdin", request.passphrase_stdin,
                 "take the passphrase from standard input's first line");
    app.require_subcommand(1);
    app.fallthrough();
    add_verbs(app, request);
    app.footer(kMore);  // after the verbs, which would inherit it
    if (const int outcome = parse(app, argc, argv); outcome != 0) return outcome < 0 ? 0 : outcome;
    request.verb = app.get_subcommands().front()->get_name();
    const int code = restream::keys::run(request);
    std::cout.flush();
    return code == 0 && !std::cout ? 9 : code;
  } catch (const std::exception& fault) {
    std::cerr << "restream-keys: " << fault.what() << "\n";
    return 9;
  }
}
