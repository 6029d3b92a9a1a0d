# Installs Apache Kafka and the Apicurio registry of schemas, which no
# distribution packages, from the artifacts that their projects publish for
# Maven, by their digests. For scripts/setup.sh, which has the functions used
# here.
# shellcheck shell=bash disable=SC2154

readonly kafka_version=4.3.0
# The digest of the list of the digests of all jars, in the order of their names.
readonly kafka_sha256='f99e37b5b2fad207b05ab7d7fcede4250d3b9e13e795e31b4804a0b9b51f011b'
readonly kafka_dir=$cache/kafka-$kafka_version

readonly apicurio_version=3.0.9
readonly apicurio_sha256='2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43'
readonly apicurio_dir=$cache/apicurio-$apicurio_version

# Newer versions ask for the parents of the registry's description, which are
# not published.
readonly maven_dependency='org.apache.maven.plugins:maven-dependency-plugin:2.8'
readonly maven_attempts=3

wants_kafka() { [ "${CDC_SETUP_KAFKA:-1}" != 0 ] && [ ! -d "$kafka_dir" ]; }

wants_apicurio() { [ "${CDC_SETUP_KAFKA:-1}" != 0 ] && [ ! -d "$apicurio_dir" ]; }

wants_java() { [ "${CDC_SETUP_KAFKA:-1}" != 0 ] && ! java_runs; }

# Kafka asks for Java 17.
java_runs() {
	local version
	have java || return 1
	version=$(java -version 2>&1 | sed -nE 's/.* version "([0-9]+).*/\1/p')
	[ "${version:-0}" -ge 17 ]
}

# maven GOAL [ARGUMENT]...: tried again when it fails, as a mirror may for a
# moment. What was downloaded stays until the end of this script, and -U asks
# again for what was not there. -C refuses a file that differs from the checksum
# beside it.
maven() {
	local goal=$1 attempt
	shift
	for ((attempt = 1; attempt <= maven_attempts; attempt++)); do
		if mvn -q -B -C -U -Dmaven.repo.local="$scratch/maven" "$maven_dependency:$goal" "$@" >"$scratch/maven.log" 2>&1; then
			return
		fi
		say "Maven did not get everything at attempt $attempt of $maven_attempts"
	done
	fail "mvn $goal did not work: $(grep -m 5 ERROR "$scratch/maven.log"); run 'make setup' again when the network is back"
}

# The jars that a broker needs, and of the jars of its tools the one with the
# console clients: what else it asks for is Kafka Connect and its web server.
kafka_pom() {
	cat <<-END
		<project xmlns="http://maven.apache.org/POM/4.0.0">
		  <modelVersion>4.0.0</modelVersion>
		  <groupId>cdc</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
		  <dependencies>
		    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka_version</version></dependency>
		    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
		    <dependency>
		      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$kafka_version</version>
		      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
		    </dependency>
		  </dependencies>
		</project>
	END
}

install_kafka() {
	if ! wants_kafka; then return; fi
	say "download Kafka $kafka_version to $kafka_dir"
	local work=$scratch/kafka
	mkdir -p "$work/lib"
	kafka_pom >"$work/pom.xml"
	maven copy-dependencies -f "$work/pom.xml" -DoutputDirectory="$work/lib" -DincludeScope=runtime
	# In the order of the C locale, whatever that of the caller is.
	(cd "$work/lib" && LC_ALL=C && sha256sum -- *.jar >../SHA256SUMS)
	echo "$kafka_sha256  $work/SHA256SUMS" | sha256sum --check --quiet - ||
		fail "the jars of Kafka $kafka_version are others than the ones expected"
	chmod -R u+rwX,go+rX,go-w "$work"
	into_cache "$work" "$kafka_dir"
}

install_apicurio() {
	if ! wants_apicurio; then return; fi
	say "download the Apicurio registry $apicurio_version to $apicurio_dir"
	local work=$scratch/apicurio
	local tarball=$scratch/maven/io/apicurio/apicurio-registry-app/$apicurio_version/apicurio-registry-app-$apicurio_version-all.tar.gz
	mkdir -p "$work"
	maven get -Dartifact="io.apicurio:apicurio-registry-app:$apicurio_version:tar.gz:all" -Dtransitive=false
	echo "$apicurio_sha256  $tarball" | sha256sum --check --quiet - ||
		fail "the download of the Apicurio registry $apicurio_version has another checksum than the one expected"
	tar -xzf "$tarball" -C "$work" --no-same-owner
	chmod -R u+rwX,go+rX,go-w "$work"
	into_cache "$work" "$apicurio_dir"
}
