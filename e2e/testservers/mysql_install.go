package testservers

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Flavour is one of the two servers that speak the protocol of MySQL.
type Flavour string

// The flavours.
const (
	FlavourMySQL   Flavour = "mysql"
	FlavourMariaDB Flavour = "mariadb"
)

// Flavours are both, for tests that hold of either.
var Flavours = []Flavour{FlavourMySQL, FlavourMariaDB}

// binariesOf says where a flavour's server is looked for.
type binariesOf struct {
	product  string // as people write it
	server   string // program
	variable string // names a folder that goes before all others
	external string // names a server that already runs
}

func (f Flavour) binaries() binariesOf {
	if f == FlavourMariaDB {
		return binariesOf{product: "MariaDB", server: "mariadbd", variable: "CDC_MARIADB_BIN", external: "CDC_TEST_MARIADB"}
	}
	return binariesOf{product: "MySQL", server: "mysqld", variable: "CDC_MYSQL_BIN", external: "CDC_TEST_MYSQL"}
}

// mysqlInstall is one set of binaries.
type mysqlInstall struct {
	flavour    Flavour
	server     string // path of the program
	executable string // what the kernel runs: the server, or the loader that came with it
	home       string // folder of an unpacked package, "" where paths are as compiled in
	version    string // "9.7.4", "10.11.19"
}

// bin is the folder of the programs.
func (i mysqlInstall) bin() string { return filepath.Dir(i.server) }

// findMySQL chooses the binaries of a version such as 9.7 or 9.7.4; "" is the
// newest from 'make setup', else the one of the system.
func findMySQL(f Flavour, version string) (mysqlInstall, error) {
	for _, inst := range mysqlInstalls(f) {
		if version == "" || inst.version == version || strings.HasPrefix(inst.version, version+".") {
			return inst, nil
		}
	}
	what := strings.TrimSpace(f.binaries().product + " " + version)
	return mysqlInstall{}, fmt.Errorf("find %s: %w", what, ErrNoServer)
}

// mysqlInstalls lists the binaries of this machine in order of preference.
func mysqlInstalls(f Flavour) []mysqlInstall {
	names := f.binaries()
	var paths []string
	if dir := os.Getenv(names.variable); dir != "" {
		paths = append(paths, filepath.Join(dir, names.server))
	}
	var cached []mysqlInstall
	if dir := CacheDir(); dir != "" {
		found, err := filepath.Glob(filepath.Join(dir, string(f)+"-*", "bin", names.server))
		if err == nil {
			cached = appendMySQL(cached, f, found...)
		}
	}
	slices.SortStableFunc(cached, func(a, b mysqlInstall) int { return compareVersions(b.version, a.version) })
	all := append(appendMySQL(nil, f, paths...), cached...)
	system := []string{filepath.Join("/usr/sbin", names.server)}
	if path, err := exec.LookPath(names.server); err == nil {
		system = append(system, path)
	}
	return appendMySQL(all, f, system...)
}

// appendMySQL adds those of the servers that run and are of the flavour: the
// mysqld of Debian is MariaDB's by another name.
func appendMySQL(found []mysqlInstall, f Flavour, servers ...string) []mysqlInstall {
	for _, server := range servers {
		out, err := exec.Command(server, "--no-defaults", "--version").Output()
		if err != nil {
			continue
		}
		// "/usr/sbin/mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)"
		_, text, ok := strings.Cut(string(out), " Ver ")
		if !ok || strings.Contains(text, "MariaDB") != (f == FlavourMariaDB) {
			continue
		}
		version, _, _ := strings.Cut(strings.TrimSpace(text), "-")
		version, _, _ = strings.Cut(version, " ")
		inst := mysqlInstall{flavour: f, server: server, version: version}
		inst.locate()
		found = append(found, inst)
	}
	return found
}

// locate tells an unpacked package, which brings its own loader, from a server
// that is installed.
func (i *mysqlInstall) locate() {
	root := filepath.Dir(i.bin())
	loaders, err := filepath.Glob(filepath.Join(root, "usr/lib/*/ld-linux-*.so.*"))
	if err == nil && len(loaders) > 0 {
		i.home, i.executable = filepath.Join(root, "usr"), loaders[0]
		return
	}
	resolved, err := filepath.EvalSymlinks(i.server)
	if err != nil {
		resolved = i.server
	}
	i.executable = resolved
}

// program is the path of a program that belongs to the server, or its bare name.
func (i mysqlInstall) program(name string) string {
	for _, dir := range []string{i.bin(), filepath.Join(filepath.Dir(i.bin()), "bin")} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil && i.server != "" {
			return path
		}
	}
	path, _ := exec.LookPath(name)
	return cmp.Or(path, name)
}
