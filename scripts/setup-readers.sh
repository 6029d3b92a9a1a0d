#!/usr/bin/env bash
# Installs what 'make readers' runs and this machine lacks: Kafka Streams,
# Flink, and Kafka Connect with Debezium, 1 GB in all, into the cache of
# 'make setup'. Running it again does nothing that is already done.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

readonly streams_version=4.3.0 # that of Kafka in setup-kafka.sh
readonly connect_version=4.3.0 # also that of Kafka
readonly debezium_version=3.6.1.Final
readonly flink_version=2.1.0
readonly maven=https://repo1.maven.org/maven2

if [ -n "${CDC_CACHE:-}" ]; then
	cache=$CDC_CACHE
elif [ "$(id -u)" = 0 ]; then
	cache=/var/cache/cdc
else
	cache=$HOME/.cache/cdc
fi
readonly streams_dir=$cache/kafka-streams-$streams_version
readonly connect_dir=$cache/kafka-connect-$connect_version
readonly debezium_dir=$cache/debezium-$debezium_version
readonly flink_dir=$cache/flink-$flink_version

say() { printf 'setup: %s\n' "$*"; }

fail() {
	printf 'setup: %s\n' "$*" >&2
	exit 1
}

# jar DIR SHA256 PATH: a jar of Maven Central.
jar() {
	local file=$1/${3##*/}
	curl -fsS --retry 3 -o "$file" "$maven/$3" || fail "could not download $maven/$3; try again when the network is back"
	echo "$2  $file" | sha256sum --check --quiet - || fail "$file has another checksum than the one expected"
}

# jars LIST DIR: the jars of a list, in DIR/lib.
jars() {
	if [ -d "$2" ]; then return; fi
	local sha256 path
	say "download the jars of $1 to $2"
	rm -rf "$2.new"
	mkdir -p "$2.new/lib"
	while read -r sha256 path; do
		if [ "$sha256" != '#' ]; then jar "$2.new/lib" "$sha256" "$path"; fi
	done <"scripts/$1"
	mv "$2.new" "$2"
}

install_streams() {
	if [ -d "$streams_dir" ]; then return; fi
	command -v javac >/dev/null || fail 'no javac here; install openjdk-17-jdk-headless'
	say "download Kafka Streams $streams_version to $streams_dir"
	rm -rf "$streams_dir.new"
	mkdir -p "$streams_dir.new/lib"
	# The other jars that it asks for are Kafka's.
	jar "$streams_dir.new/lib" aa3a70c72cb04c72eabcf6d04762c3a3ca8522e93654eca9180e7877172433c4 org/apache/kafka/kafka-streams/$streams_version/kafka-streams-$streams_version.jar
	jar "$streams_dir.new/lib" e7f925287d9fe2574fb7c7a86f7facaa9b8ab602a2eed0e598bf633528121498 org/rocksdb/rocksdbjni/10.1.3/rocksdbjni-10.1.3.jar
	mv "$streams_dir.new" "$streams_dir"
}

install_flink() {
	if [ -d "$flink_dir" ]; then return; fi
	say "download Flink $flink_version to $flink_dir"
	rm -rf "$flink_dir.new"
	python3 -m venv "$flink_dir.new" || fail 'no venv here; install python3-venv'
	"$flink_dir.new/bin/python" -m pip install --quiet --no-input "apache-flink==$flink_version" || fail "pip could not install apache-flink $flink_version, which needs Python 3.9 to 3.12"
	jar "$flink_dir.new" c7127a6518fba5d6b75eb4692229192e7147ea378e69c7b7cf16d0494057b0c3 org/apache/flink/flink-sql-connector-kafka/4.0.1-2.0/flink-sql-connector-kafka-4.0.1-2.0.jar
	mv "$flink_dir.new" "$flink_dir"
}

install_streams
install_flink
jars kafka-connect.jars "$connect_dir"
jars debezium.jars "$debezium_dir"
