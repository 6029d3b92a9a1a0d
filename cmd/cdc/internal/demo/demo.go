package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cdc/cmd/cdc/internal/present"
	"cdc/e2e/testservers"
)

// ErrNoServer says that no PostgreSQL server is installed.
var ErrNoServer = testservers.ErrNoServer

// Options say how the demo is shown. Exe, Out and Err are required.
type Options struct {
	// Exe is this program.
	Exe string
	// In is the terminal that the prompt at the end reads; Terminal says that there is one.
	In       *os.File
	Out, Err *os.File
	Terminal bool
	Style    present.Style
	// SQL says that this build answers SQL.
	SQL bool
	// Environ is the environment of the commands.
	Environ []string
}

// Names in the demo.
const (
	database    = "shop"
	role        = "cdc"
	publication = "shop_cdc"
	// password is of a server that listens on loopback and goes away with the demo.
	password = "demo"
)

// ago is how far the demo looks back.
const (
	ago     = 20 * time.Second
	agoText = "20 seconds ago"
)

// cleanLimit bounds the cleaning up.
const cleanLimit = 30 * time.Second

// Run shows the demo and cleans up after it, also when ctx ends before it does. Its error says which step did not work.
func Run(ctx context.Context, o Options) (err error) {
	p := &player{o: o, style: o.Style, started: time.Now()}
	if p.dir, err = os.MkdirTemp("", "cdc-demo-"); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.dir)) }()
	p.data = filepath.Join(p.dir, "data")
	p.say("%s", p.style.Bold("cdc demo: a private PostgreSQL, a busy shop on it, and its whole history"))
	began := time.Now()
	server, err := testservers.StartPostgres(ctx, testservers.PostgresOptions{
		Name: "demo", Settings: map[string]string{"max_slot_wal_keep_size": "1GB"},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanly(ctx, server.Stop)) }()
	p.did(began, "PostgreSQL %s started on port %d", server.Version(), server.Port())
	w := &walk{player: p, server: server}
	defer func() { err = errors.Join(err, w.close()) }()
	return w.run(ctx)
}

// cleanly does something that must be done even though the demo has been interrupted.
func cleanly(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanLimit)
	defer cancel()
	return do(ctx)
}

// prepare opens the shop and gives the commands what they need to find it.
func (w *walk) prepare(ctx context.Context) error {
	began := time.Now()
	if _, err := w.server.SQL(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
		return err
	}
	var err error
	if w.shop, err = openShop(ctx, w.server.SuperuserDSN(database)); err != nil {
		return err
	}
	w.did(began, "a shop opened: 4 tables, %d clients, a transaction every %d ms", clients, pace.Milliseconds())
	began = time.Now()
	err = w.server.CreateCaptureRole(ctx, testservers.CaptureRole{Name: role, Password: password, Database: database})
	if err != nil {
		return err
	}
	w.dsn = fmt.Sprintf("postgres://%s@%s/%s", role, w.server.Addr(), database)
	w.env = append(withoutSettings(w.o.Environ), "PGPASSWORD="+password, "CDC_DATA="+w.data)
	if !w.o.Terminal {
		w.env = append(w.env, "CDC_FORMAT=table")
	}
	w.did(began, "a role for the capture: it may replicate and read, and nothing else")
	w.say("\nThe commands below are run as they stand, with these two in the environment:")
	w.show("export PGPASSWORD=" + password + " CDC_DATA=" + w.data)
	return nil
}

// withoutSettings is the environment without settings of a database or of this program, which would lead the commands elsewhere.
func withoutSettings(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		return strings.HasPrefix(entry, "PG") || strings.HasPrefix(entry, "CDC_")
	})
}
