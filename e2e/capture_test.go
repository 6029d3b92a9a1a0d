//go:build e2e

package e2e

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/e2e/workload"
)

// capture is a data folder with the runs that fill it from a database.
type capture struct {
	t *testing.T
	// origin is the database.
	origin origin
	// database is its name, source that by which the program knows it.
	database, source string
	// dir holds the data folder and the logs of the runs.
	dir string
	// flags are added to every run.
	flags []string
	// runs and moments count those so far.
	runs, moments int
}

// origin is a database of one kind, for what all kinds have.
type origin interface {
	// dsn is that of the capturing role, with its password; appDSN that of the application, which owns the tables.
	dsn() string
	appDSN() string
	// passwordVariable is the one in which the program finds the password.
	passwordVariable() string
	// sql runs statements as the superuser, appSQL as the application. Both return what they print.
	sql(statements string) string
	appSQL(statements string) string
	// read reports whether somebody reads the stream of changes for us.
	read() bool
	// end is the place where that stream ends, and passed reports whether the program has all before it.
	end() string
	passed(end string) bool
	// probe has the server write something to its log.
	probe()
	// sortable is a position that compares with others as text.
	sortable(position string) string
}

func (c *capture) dsn() string                  { return c.origin.dsn() }
func (c *capture) appDSN() string               { return c.origin.appDSN() }
func (c *capture) sql(statements string) string { c.t.Helper(); return c.origin.sql(statements) }
func (c *capture) appSQL(statements string) string {
	c.t.Helper()
	return c.origin.appSQL(statements)
}

func (c *capture) makeFolder() {
	dir, err := os.MkdirTemp("", "cdc-e2e-")
	if err != nil {
		c.t.Fatal(err)
	}
	c.dir = dir
	c.t.Cleanup(func() {
		if !c.t.Failed() {
			if err := os.RemoveAll(c.dir); err != nil {
				c.t.Errorf("remove folder: %v", err)
			}
			return
		}
		c.t.Logf("the folder is kept: %s", c.dir)
		logs, _ := filepath.Glob(filepath.Join(c.dir, "run-*.log")) // the pattern is good
		for _, log := range logs[max(0, len(logs)-2):] {
			text, _ := os.ReadFile(log) // shown if it is there
			c.t.Logf("end of %s:\n%s", filepath.Base(log), tail(string(text), logLinesShown))
		}
	})
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// data is the data folder.
func (c *capture) data() string { return filepath.Join(c.dir, "data") }

// login is the DSN without the password, and the variable that holds it.
func (c *capture) login() (dsn, variable string) {
	c.t.Helper()
	u, err := url.Parse(c.dsn())
	if err != nil {
		c.t.Fatal(err)
	}
	password, _ := u.User.Password()
	u.User = url.User(u.User.Username())
	return u.String(), c.origin.passwordVariable() + "=" + password
}

// password is the variable that holds it.
func (c *capture) password() string {
	_, variable := c.login()
	return variable
}

// prepareWorkload makes the tables, owned by the application.
func (c *capture) prepareWorkload(o workload.Options) *workload.Workload {
	c.t.Helper()
	o.DSN = c.appDSN()
	if err := workload.Setup(c.t.Context(), o.DSN); err != nil {
		c.t.Fatal(err)
	}
	c.t.Logf("workload seed %d", o.Seed)
	return workload.New(o)
}

// keepBusy runs the workload in the background; the returned function ends it
// and waits.
func (c *capture) keepBusy(w *workload.Workload) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	done := false
	stop = func() {
		c.t.Helper()
		if done {
			return
		}
		done = true
		cancel()
		if err := <-ended; err != nil {
			c.t.Errorf("workload: %v", err)
		}
	}
	c.t.Cleanup(stop)
	return stop
}
