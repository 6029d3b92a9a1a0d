//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"cdc/changelog"
	"cdc/changelog/disklog"
)

// captureLimit bounds every wait for the program.
const captureLimit = 3 * time.Minute

// benchCapture is 'cdc run' of one table of one database in a folder of its own.
type benchCapture struct {
	binary, dsn string
	table       string
	data        string
	env         []string // holds the password
	more        []string // arguments of every run
	stderr      bytes.Buffer
}

// capture prepares a capture and starts nothing.
func (e *bench) capture(b *testing.B, database, table string) *benchCapture {
	b.Helper()
	u, err := url.Parse(e.pg.SuperuserDSN(database))
	if err != nil {
		b.Fatal(err)
	}
	password, _ := u.User.Password()
	u.User = url.User(u.User.Username())
	return &benchCapture{
		binary: e.binary, dsn: u.String(), env: []string{"PGPASSWORD=" + password}, table: table, data: filepath.Join(b.TempDir(), "data"),
	}
}

// command is 'cdc run' with more arguments.
func (c *benchCapture) command(args ...string) *exec.Cmd {
	all := []string{"run", c.dsn, "--data", c.data, "--tables", c.table, "--http", "off", "--log-level", "warn"}
	cmd := exec.Command(c.binary, slices.Concat(all, c.more, args)...)
	cmd.Env = append(os.Environ(), c.env...)
	c.stderr.Reset()
	cmd.Stderr = &c.stderr
	return cmd
}

// untilCurrent runs the capture to its end.
func (c *benchCapture) untilCurrent(b *testing.B) {
	b.Helper()
	if err := c.command("--until-current").Run(); err != nil {
		b.Fatalf("cdc run --until-current: %v\n%s", err, c.stderr.Bytes())
	}
}

// benchRun is a capture that goes on until it is stopped.
type benchRun struct {
	*benchCapture
	cmd  *exec.Cmd
	http *http.Client
}

// start runs the capture and returns when it streams.
func (c *benchCapture) start(b *testing.B) *benchRun {
	b.Helper()
	r := &benchRun{benchCapture: c, cmd: c.command(), http: c.client()}
	if err := r.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = r.cmd.Process.Kill() // it has ended, unless the measurement failed
		r.http.CloseIdleConnections()
	})
	awaitFor(b, "the capture streams", captureLimit, func() bool {
		s, err := r.status()
		return err == nil && len(s.Sources) == 1 && s.Sources[0].Phase == "streaming"
	})
	return r
}

// stop ends the capture as a supervisor does.
func (r *benchRun) stop(b *testing.B) {
	b.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		b.Fatalf("cdc run: %v\n%s", err, r.stderr.Bytes())
	}
}

// client speaks to the control socket.
func (c *benchCapture) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", filepath.Join(c.data, "cdc.sock"))
		},
	}}
}

// benchStatus is the part of the program's status that is looked at.
type benchStatus struct {
	Sources []struct {
		Phase string `json:"phase"`
	} `json:"sources"`
}

func (r *benchRun) status() (s benchStatus, err error) {
	err = askSocket(r.http, "/status", &s)
	return s, err
}

// durable is the offset before which everything is durable; it waits until
// that is more than after, or for as long as the program lets one wait.
func (r *benchRun) durable(after changelog.Offset) (changelog.Offset, error) {
	return durableOf(r.http, after)
}

func durableOf(client *http.Client, after changelog.Offset) (changelog.Offset, error) {
	var answer struct {
		Next changelog.Offset `json:"next"`
	}
	err := askSocket(client, "/v1/durable?after="+strconv.FormatUint(uint64(after), 10), &answer)
	return answer.Next, err
}

func askSocket(client *http.Client, path string, answer any) (err error) {
	response, err := client.Get("http://cdc" + path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s: %s", path, response.Status, body)
	}
	return json.Unmarshal(body, answer)
}

// awaitDurable waits until the offset is durable.
func (r *benchRun) awaitDurable(b *testing.B, n changelog.Offset) {
	b.Helper()
	awaitFor(b, fmt.Sprintf("offset %d is durable", n), captureLimit, func() bool {
		next, err := r.durable(0)
		return err == nil && next > n
	})
}

// unitsIn calls f with every unit of a log that is not being written.
func unitsIn(b *testing.B, dir string, f func(u *changelog.Unit) error) {
	b.Helper()
	l, err := disklog.Open(dir, disklog.Options{ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	err = eachUnit(context.Background(), l, nil, f)
	if err := errors.Join(err, l.Close()); err != nil {
		b.Fatal(err)
	}
}

// countChanges is how many changes of units of a kind the log in a folder holds:
// what is fast or small because a part of it is missing is no figure.
func countChanges(b *testing.B, dir string, kind changelog.UnitKind) (n int) {
	b.Helper()
	unitsIn(b, dir, func(u *changelog.Unit) error {
		if u.Meta.Kind == kind {
			n += int(u.Changes())
		}
		return nil
	})
	return n
}

// eachUnit calls f with every unit that is durable.
func eachUnit(ctx context.Context, l changelog.Log, tables *changelog.TableSet, f func(u *changelog.Unit) error) (err error) {
	cursor, err := l.Cursor(changelog.CursorOptions{Tables: tables})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cursor.Close()) }()
	for {
		u, err := cursor.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(u); err != nil {
			return err
		}
	}
}
