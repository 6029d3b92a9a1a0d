# Installs MySQL from the packages of Debian unstable, which alone has one of
# today, without making them part of the system: they are unpacked into the
# cache with the libraries they want, their own C library among these, and run
# through its loader. For scripts/setup.sh, which has the functions used here.
# shellcheck shell=bash disable=SC2154

readonly mysql_suite=sid
readonly mysql_roots='mysql-server-core mysql-client-core'
readonly debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg
readonly mysql_libraries=usr/lib/x86_64-linux-gnu

# The newest server in the cache, as a folder. Any version will do: unstable
# moves on, and what is there already stays as it is.
cached_mysql() {
	local dir
	for dir in $(printf '%s\n' "$cache"/mysql-*/bin | sort -rV); do
		if [ -x "$dir/mysqld" ]; then
			echo "$dir"
			return
		fi
	done
}

wants_mysql() {
	[ "${CDC_SETUP_MYSQL:-1}" != 0 ] &&
		[ "$(uname -sm)" = 'Linux x86_64' ] &&
		[ -z "$(cached_mysql)" ]
}

# The Debian mirror that apt is configured to use, if it is one of the web. The
# label tells it from the security archive, which has no unstable.
debian_mirror() {
	have apt-get || return 0
	apt-get indextargets --format '$(LABEL) $(SITE)' 'Created-By: Packages' |
		sed -nE 's,^Debian (https?://.*[^/])/*$,\1,p' | head -n 1
}

# download PATH FILE SHA256: through apt, so with its proxies and its settings.
# The digest is empty for what a signature vouches for.
download() {
	/usr/lib/apt/apt-helper download-file "$mysql_mirror/$1" "$2" ${3:+"SHA256:$3"} >"$scratch/apt.log" 2>&1 ||
		fail "download of $mysql_mirror/$1 did not work: $(tail -n 5 "$scratch/apt.log")"
}

# The signed list of what the suite holds. A signature by a key that is newer
# than this machine may stand beside one that is known; that is good enough for
# apt and so for this.
mysql_release() {
	download "dists/$mysql_suite/InRelease" "$work/InRelease"
	gpgv --keyring "$debian_keyring" --status-fd 1 --output "$work/Release" "$work/InRelease" \
		>"$work/signatures" 2>/dev/null || true
	if ! grep -q '^\[GNUPG:\] VALIDSIG ' "$work/signatures" || grep -q '^\[GNUPG:\] BADSIG ' "$work/signatures"; then
		fail "the list of packages of Debian $mysql_suite at $mysql_mirror has no good signature"
	fi
}

# The index of packages, by its digest: the mirror may change between two
# downloads, but not what a digest names.
mysql_index() {
	local name=main/binary-amd64/Packages.gz digest
	digest=$(awk -v name="$name" '/^[^ ]/ {in_digests = $1 == "SHA256:"} in_digests && $3 == name {print $1}' "$work/Release")
	[ -n "$digest" ] || fail "the release file of Debian $mysql_suite names no $name"
	download "dists/$mysql_suite/main/binary-amd64/by-hash/SHA256/$digest" "$work/Packages.gz" "$digest"
	gzip -dc "$work/Packages.gz" >"$work/Packages"
}

# The digest and path of each wanted package: the roots and the libraries that
# they depend on, and those on theirs. What is no library (a perl for scripts
# that no test runs) stays away.
mysql_packages() {
	awk -v roots="$mysql_roots" '
	BEGIN { RS = ""; FS = "\n" }
	{
		name = path = digest = needs = ""
		for (i = 1; i <= NF; i++) {
			if (sub(/^Package: /, "", $i)) name = $i
			else if (sub(/^Filename: /, "", $i)) path = $i
			else if (sub(/^SHA256: /, "", $i)) digest = $i
			else if (sub(/^(Pre-)?Depends: /, "", $i)) needs = needs ", " $i
		}
		paths[name] = path; digests[name] = digest; depends[name] = needs
	}
	END {
		n = split(roots, queue, " ")
		for (at = 1; at <= n; at++) {
			name = queue[at]
			if (!(name in paths)) { if (name !~ /^lib/) exit 1; continue }
			print digests[name], paths[name]
			many = split(depends[name], list, /, */)
			for (i = 1; i <= many; i++) {
				need = list[i]; sub(/[ :(|].*/, "", need)
				if (need ~ /^lib/ && !(need in seen)) { seen[need] = 1; queue[++n] = need }
			}
		}
	}' "$work/Packages" >"$work/list" || fail "Debian $mysql_suite at $mysql_mirror has no packages $mysql_roots"
}

unpack_mysql() {
	local digest path
	mkdir "$work/root"
	while read -r digest path; do
		download "$path" "$work/package.deb" "$digest"
		dpkg-deb -x "$work/package.deb" "$work/root"
		rm "$work/package.deb"
	done <"$work/list"
	local share=$work/root/usr/share
	find "$share" -mindepth 1 -maxdepth 1 ! -name mysql -exec rm -rf {} +
	chmod -R u+rwX,go+rX,go-w "$work/root"
}

# Scripts in bin that run each program through the loader beside it, wherever
# the folder is.
mysql_programs() {
	local program name
	mkdir "$work/root/bin"
	for program in "$work"/root/usr/sbin/mysqld "$work"/root/usr/bin/my*; do
		[ "$(head -c 4 "$program" | tail -c 3)" = ELF ] || continue
		name=$work/root/bin/${program##*/}
		cat >"$name" <<-END
			#!/bin/sh
			root=\${0%/*}/..
			exec "\$root/$mysql_libraries/ld-linux-x86-64.so.2" --library-path "\$root/$mysql_libraries" "\$root/${program#"$work/root/"}" "\$@"
		END
		chmod 755 "$name"
	done
}

install_mysql() {
	if [ "$(uname -sm)" != 'Linux x86_64' ]; then
		say "leave out MySQL: its libraries are those of Linux on x86_64, and this is $(uname -sm)"
		return
	fi
	if ! wants_mysql; then return; fi
	mysql_mirror=$(debian_mirror)
	# The label is known only where apt has fetched its lists.
	if [ -z "$mysql_mirror" ] && have apt-get; then
		apt_update
		mysql_mirror=$(debian_mirror)
	fi
	if [ -z "$mysql_mirror" ]; then
		say 'leave out MySQL: it comes from a Debian mirror, and apt is configured for none that speaks HTTP'
		return
	fi
	local work=$scratch/mysql version dir
	mkdir "$work"
	mysql_release
	mysql_index
	mysql_packages
	# .../mysql-server-core_9.7.4-2_amd64.deb
	version=$(sed -nE 's,.*/mysql-server-core_([0-9.]+).*,\1,p' "$work/list")
	dir=$cache/mysql-$version
	say "download MySQL $version with its libraries to $dir"
	unpack_mysql
	mysql_programs
	"$work/root/bin/mysqld" --no-defaults --version >/dev/null || fail "MySQL $version does not run on this machine"
	into_cache "$work/root" "$dir"
}
