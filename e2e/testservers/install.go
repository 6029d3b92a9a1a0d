package testservers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// install is one set of PostgreSQL binaries.
type install struct {
	bin     string // folder
	version string // "15.18"
}

func (i install) path(program string) string { return filepath.Join(i.bin, program) }

func (i install) major() string {
	major, _, _ := strings.Cut(i.version, ".")
	return major
}

// CacheDir is where 'make setup' keeps server binaries that do not come from
// Debian packages: $CDC_CACHE, else /var/cache/cdc for root and ~/.cache/cdc
// for others. Root has a public place because its servers run as another user,
// who cannot enter root's home.
func CacheDir() string {
	if dir := os.Getenv("CDC_CACHE"); dir != "" {
		return dir
	}
	if os.Getuid() == 0 {
		return "/var/cache/cdc"
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".cache", "cdc")
}

// findInstall chooses the binaries for a major version; "" is the newest from
// Debian, else the newest at all. CDC_PG_BIN names a folder that goes before
// all others.
func findInstall(major string) (install, error) {
	all := installs()
	for _, inst := range all {
		if major == "" || inst.major() == major {
			return inst, nil
		}
	}
	if major == "" {
		return install{}, fmt.Errorf("find PostgreSQL: %w", ErrNoServer)
	}
	return install{}, fmt.Errorf("find PostgreSQL %s: %w", major, ErrNoServer)
}

// installs lists the binaries of this machine in order of preference.
func installs() []install {
	var found []install
	if dir := os.Getenv("CDC_PG_BIN"); dir != "" {
		found = appendInstall(found, dir)
	}
	found = append(found, installsIn("/usr/lib/postgresql/*/bin")...)
	if dir := CacheDir(); dir != "" {
		found = append(found, installsIn(filepath.Join(dir, "postgresql-*", "bin"))...)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		found = appendInstall(found, filepath.Dir(path))
	}
	return found
}

// installsIn lists the installs in the folders that match pattern, newest first.
func installsIn(pattern string) []install {
	dirs, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	var found []install
	for _, dir := range dirs {
		found = appendInstall(found, dir)
	}
	slices.SortStableFunc(found, func(a, b install) int {
		return compareVersions(b.version, a.version)
	})
	return found
}

// appendInstall adds the install in dir if it has a server that runs.
func appendInstall(found []install, dir string) []install {
	inst := install{bin: dir}
	if _, err := os.Stat(inst.path("initdb")); err != nil {
		return found
	}
	out, err := exec.Command(inst.path("postgres"), "--version").Output()
	if err != nil {
		return found
	}
	// "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
	fields := strings.Fields(string(out))
	if len(fields) < 3 {
		return found
	}
	inst.version = fields[2]
	return append(found, inst)
}

// compareVersions orders dotted numbers; a part that is no number counts as 0.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		if c := versionPart(as, i) - versionPart(bs, i); c != 0 {
			return c
		}
	}
	return 0
}

func versionPart(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, err := strconv.Atoi(parts[i])
	if err != nil {
		return 0
	}
	return n
}

// findProgram looks in the install itself, then in the others, then in PATH.
func findProgram(own install, name string) string {
	if _, err := os.Stat(own.path(name)); err == nil && own.bin != "" {
		return own.path(name)
	}
	for _, inst := range installs() {
		if _, err := os.Stat(inst.path(name)); err == nil {
			return inst.path(name)
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return name
}
