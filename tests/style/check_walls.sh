#!/usr/bin/env bash
# Walls that include roots cannot hold, because system headers are everybody's: which third-party library may be used
# where. Prints each line that breaks one, and fails.
set -u
cd "${1:?usage: check_walls.sh PROJECT}"
bad=0
# only PATTERN FOLDER …: files that match may only be below these folders.
only() {
  local pattern=$1 hits
  shift
  hits=$(grep -rnE --include='*.[ch]pp' --include='*.[ch]' "#include <$pattern" daemon wire fetcher-host keys plugin-sdk plugins bench 2>/dev/null)
  for allowed in "$@"; do hits=$(grep -v "^$allowed" <<<"$hits"); done
  if [ -n "$hits" ]; then
    printf '<%s> belongs to %s alone:\n%s\n' "$pattern" "$*" "$hits"
    bad=1
  fi
}
only 'boost/dll' fetcher-host/
only 'curl/' daemon/http/ bench/bare_get.cpp
only 'sqlite3' daemon/store/
only 'yaml-cpp/' daemon/config/
only 'boost/beast' daemon/serve/
only 'openssl/' keys/ plugins/ daemon/serve/ daemon/http/keyed_hash.cpp daemon/http/certificates.cpp bench/fanout_clients.cpp
only 'seccomp.h' fetcher-host/
only 'linux/landlock.h' fetcher-host/
only 're2/' daemon/model/ daemon/fetch/metadata_parser.cpp
only 'spdlog/' daemon/ops/
only 'systemd/' daemon/ops/
# Headers that many files include must stay light; those named here are private to one or two sources.
heavy=$(grep -rnE --include='*.hpp' '#include <(boost/(beast|asio)|nlohmann|curl|spdlog|CLI)' daemon keys wire fetcher-host plugin-sdk/tool |
  grep -vE '^(daemon/serve/|daemon/http/transfer|daemon/fetch/host_process_log|[^:]*_impl\.hpp)')
[ -z "$heavy" ] || { printf 'heavy includes in headers:\n%s\n' "$heavy"; bad=1; }
exit $bad
