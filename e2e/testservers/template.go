package testservers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// template is a data folder fresh from its maker, copied for each server:
// copying takes a tenth of the time of making one.
type template struct {
	account  account
	dir      string
	data     string
	password string // of the superuser
	watchdog *watchdog
}

// templates holds one template per binaries, and per settings that are fixed
// when a folder is made, for the life of the process; the watchdogs remove them
// at its end.
var templates = templateCache{made: map[string]*template{}}

type templateCache struct {
	mu   sync.Mutex // guards made, and keeps two callers from making the same
	made map[string]*template
}

func (c *templateCache) get(key string, fill func() (*template, error)) (*template, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.made[key]; t != nil {
		return t, nil
	}
	t, err := fill()
	if err != nil {
		return nil, fmt.Errorf("make template: %w", err)
	}
	c.made[key] = t
	return t, nil
}

// newTemplate makes the folder of a template and its watchdog, which ends what
// w names.
func newTemplate(acc account, w watch) (*template, error) {
	dir, err := tempDir(acc)
	if err != nil {
		return nil, err
	}
	t := &template{account: acc, dir: dir, data: filepath.Join(dir, "data"), password: rand.Text()}
	w.account, w.data, w.remove = acc, t.data, dir
	if t.watchdog, err = startWatchdog(w); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return t, nil
}

func (t *template) runDir() string { return filepath.Join(t.dir, "run") }

// write makes a file for the maker of the data to read.
func (t *template) write(name, text string) (path string, err error) {
	path = filepath.Join(t.runDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", err
	}
	return path, t.account.own(path)
}

// finish gives the template, or removes it when its making ended with err.
func (t *template) finish(err error) (*template, error) {
	if err != nil {
		return nil, errors.Join(err, t.watchdog.release())
	}
	return t, nil
}

// copyTo makes the data folder of a server.
func (t *template) copyTo(ctx context.Context, d *daemon) error {
	return d.account.run(ctx, d.runDir(), "cp", "-a", "--reflink=auto", t.data, d.dataDir())
}

// run executes a program as the account in dir; what it wrote is in the error.
func (a account) run(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = a.environment(dir)
	cmd.SysProcAttr = a.sysProcAttr()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s: %w: %s", filepath.Base(program), err, lastLines(string(out), 40))
	}
	return nil
}
