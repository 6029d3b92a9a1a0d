package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"cdc/cmd/cdc/internal/exit"
)

// inUse names the process that holds the folder.
func (a *App) inUse(cause error) error {
	what, remedy := "the folder is in use by another process", "stop it, or give this one a folder of its own with --data"
	if pid := lockOwner(filepath.Join(a.Data, "lock")); pid != "" {
		what = "the folder is in use by process " + pid
		remedy = fmt.Sprintf("stop it with 'kill %s', or give this one a folder of its own with --data", pid)
	}
	return &exit.Error{Code: exit.InUse, What: what, Where: a.Data, Remedy: remedy, Err: cause}
}

// lockOwner is the process that holds the lock on a file as the kernel lists it, or nothing where the kernel does not say.
func lockOwner(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return ""
	}
	defer func() { _ = locks.Close() }()
	inode := fmt.Sprintf(":%d", stat.Ino)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		// 1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF
		fields := strings.Fields(lines.Text())
		if len(fields) >= 6 && fields[1] == "FLOCK" && strings.HasSuffix(fields[5], inode) {
			return fields[4]
		}
	}
	return ""
}
