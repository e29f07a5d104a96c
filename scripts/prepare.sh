# Sourced by ./run and ./test: installs what is missing on a Debian 12, and says what it does.

# What the build needs, by Debian's names.
build_packages=(
  g++ cmake ninja-build ccache pkg-config
  libboost1.81-dev
  libyaml-cpp-dev nlohmann-json3-dev libssl-dev libcurl4-openssl-dev libsqlite3-dev zlib1g-dev
  libspdlog-dev libcli11-dev libxxhash-dev libre2-dev libseccomp-dev libsystemd-dev
)
# What the tests need besides. nats-server, nginx, chromium, promtool and systemd-socket-activate (of systemd) are real
# programs that the tests run; rustc builds a fetcher in Rust.
test_packages=(systemd catch2 curl openssl nats-server nginx-light chromium prometheus clang-format-19 rustc)
fuzz_packages=(clang-19 libclang-rt-19-dev)
tidy_packages=(clang-tidy-19)
# What the Debian packages are made and judged with, and what they are tested in.
# Other push servers that the benchmark measures beside restream, and what draws the picture.
bench_packages=(libnginx-mod-nchan pushpin gnuplot-nox)
package_packages=(dpkg-dev debhelper lintian go-md2man)
machine_packages=(debootstrap systemd-container iproute2)

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  # Debian's npm does not install beside NodeSource's nodejs, which brings its own: look for the command.
  command -v node >/dev/null || missing+=(nodejs)
  command -v npm >/dev/null || missing+=(npm)
  [ ${#missing[@]} -eq 0 ] && return
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "These packages are missing; install them as root, then run this again:" >&2
      echo "  apt-get install ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  say "Installing ${#missing[@]} packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  # The packages' own services (nats-server) are not wanted here: the tests start their own.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# configure_and_build PRESET [TARGET …]
configure_and_build() {
  local preset=$1
  shift
  # Also where it was done before: there may be packages now that were missing then, such as Catch2.
  say "Configuring (build/$preset)"
  cmake --preset "$preset" >/dev/null
  say "Building (build/$preset); the first time takes some minutes"
  if [ $# -gt 0 ]; then set -- --target "$@"; fi
  cmake --build --preset "$preset" "$@"
}
