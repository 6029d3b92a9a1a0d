package testservers

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the system user that a server runs as. Databases refuse to run as
// root, so root gives its servers to an unprivileged user.
type account struct {
	name     string
	uid, gid uint32
	switches bool // differs from the user of this process
}

func serverAccount() (account, error) {
	if os.Getuid() != 0 {
		return account{uid: uint32(os.Getuid()), gid: uint32(os.Getgid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return account{}, fmt.Errorf("look up user %s: %w", name, err)
		}
		return account{name: name, uid: uint32(uid), gid: uint32(gid), switches: true}, nil
	}
	return account{}, errors.New("find user for servers: neither postgres nor nobody exists, and no database runs as root")
}

// sysProcAttr starts a child as this account in a process group of its own, so
// that a Ctrl-C in the terminal reaches the server only through us.
func (a account) sysProcAttr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.switches {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attr
}

// environment is that of a child: nothing of ours, so that PG* variables and
// locales of the caller change no behaviour.
func (a account) environment(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C.UTF-8", "TZ=UTC"}
}

// own gives files to the account.
func (a account) own(paths ...string) error {
	if !a.switches {
		return nil
	}
	for _, path := range paths {
		if err := os.Lchown(path, int(a.uid), int(a.gid)); err != nil {
			return err
		}
	}
	return nil
}

// enters reports why the account cannot reach what is in dir; nil if it can.
func (a account) enters(dir string) error {
	if !a.switches {
		return nil
	}
	for {
		var st syscall.Stat_t
		if err := syscall.Stat(dir, &st); err != nil {
			return &os.PathError{Op: "stat", Path: dir, Err: err}
		}
		byOwner := st.Uid == a.uid && st.Mode&0o100 != 0
		byGroup := st.Gid == a.gid && st.Mode&0o010 != 0
		if !byOwner && !byGroup && st.Mode&0o001 == 0 {
			return fmt.Errorf("user %s cannot enter %s", a.name, dir)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil
		}
		dir = parent
	}
}

// serverDir makes the folder of a server: the one asked for, which must be
// new or empty, or a temporary one.
func serverDir(asked string, a account) (dir string, temporary bool, err error) {
	if asked == "" {
		dir, err = tempDir(a)
		return dir, true, err
	}
	dir, err = filepath.Abs(asked)
	if err != nil {
		return "", false, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", false, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", false, err
	}
	if len(entries) > 0 {
		return "", false, fmt.Errorf("use folder %s: not empty", dir)
	}
	return dir, false, finishDir(dir, a)
}

// tempDir makes a temporary folder that the account can enter.
func tempDir(a account) (string, error) {
	var problems []error
	for _, parent := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		if err := a.enters(parent); err != nil {
			problems = append(problems, err)
			continue
		}
		dir, err := os.MkdirTemp(parent, "cdc-server-")
		if err != nil {
			problems = append(problems, err)
			continue
		}
		return dir, finishDir(dir, a)
	}
	return "", fmt.Errorf("make temporary folder: %w", errors.Join(problems...))
}

// finishDir makes the subfolder for the socket and gives both to the account.
func finishDir(dir string, a account) error {
	if err := a.enters(filepath.Dir(dir)); err != nil {
		return err
	}
	run := filepath.Join(dir, "run")
	if err := os.Mkdir(run, 0o700); err != nil {
		return err
	}
	return a.own(dir, run)
}

// removable is the folder that the watchdog removes, "" for none.
func removable(dir string, temporary bool) string {
	if temporary {
		return dir
	}
	return ""
}
