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

	"golang.org/x/sync/errgroup"

	"cdc/cmd/cdc/internal/present"
	"cdc/e2e/testservers"
)

// ErrNoServer says that no PostgreSQL server is installed. Without MySQL and MariaDB the demo goes on.
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
	// Kafka shows topics of a real broker in the place of what can be asked.
	Kafka bool
	// SQL says that this build answers SQL.
	SQL bool
	// Environ is the environment of the commands.
	Environ []string
}

// Names in the demo.
const (
	database          = "shop"
	warehouseDatabase = "warehouse"
	role              = "cdc"
	publication       = "shop_cdc"
	// password is of servers that listen on loopback and go away with the demo.
	password = "demo"
)

// ago is how far the demo looks back.
const (
	ago     = 20 * time.Second
	agoText = "20 seconds ago"
)

// cleanLimit bounds the cleaning up.
const cleanLimit = time.Minute

// Run shows the demo and cleans up after it, also when ctx ends before it does. Its error says which step did not work.
func Run(ctx context.Context, o Options) (err error) {
	p := &player{o: o, style: o.Style, started: time.Now()}
	if p.dir, err = os.MkdirTemp("", "cdc-demo-"); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.dir)) }()
	p.data = filepath.Join(p.dir, "data")
	p.say("%s", p.style.Bold("cdc demo: a busy shop on private databases of its own, and their whole history"))
	w := &walk{player: p}
	defer func() { err = errors.Join(err, w.stopServers(ctx)) }()
	if err := w.startServers(ctx); err != nil {
		return err
	}
	if o.Kafka {
		defer func() { err = errors.Join(err, w.stopKafka(ctx)) }()
		if err := w.startKafka(ctx); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, w.close()) }()
	return w.run(ctx)
}

// startServers starts both side by side. Whatever has started is the walk's to stop, also when the other one has not.
func (w *walk) startServers(ctx context.Context) error {
	began := time.Now()
	var group errgroup.Group // without a context: a server that is starting must not be left half made
	group.Go(func() (err error) {
		w.server, err = testservers.StartPostgres(ctx, testservers.PostgresOptions{
			Name: "demo", Settings: map[string]string{"max_slot_wal_keep_size": "1GB"},
		})
		return err
	})
	group.Go(func() (err error) {
		w.house, err = startWarehouse(ctx)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if w.house == nil {
		w.did(began, "PostgreSQL %s started on port %d", w.server.Version(), w.server.Port())
		w.say("   Neither MySQL nor MariaDB is installed ('make setup' does): the shop has no warehouse today.")
		return nil
	}
	w.did(began, "PostgreSQL %s and %s %s started on ports %d and %d",
		w.server.Version(), w.house.product(), w.house.server.Version(), w.server.Port(), w.house.server.Port())
	return nil
}

// stopServers stops what has started.
func (w *walk) stopServers(ctx context.Context) (err error) {
	if w.server != nil {
		err = cleanly(ctx, w.server.Stop)
	}
	if w.house != nil {
		err = errors.Join(err, cleanly(ctx, w.house.server.Stop))
	}
	return err
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
	tables := "4 tables in PostgreSQL"
	settings := []string{"PGPASSWORD=" + password, "CDC_DATA=" + w.data}
	if w.house != nil {
		if err := w.house.open(ctx); err != nil {
			return err
		}
		tables += ", 3 in " + w.house.product()
		settings = append([]string{"MYSQL_PWD=" + password}, settings...)
		w.houseDSN = fmt.Sprintf("mysql://%s@%s/%s", role, w.house.server.Addr(), warehouseDatabase)
	}
	var err error
	if w.shop, err = openShop(ctx, w.server.SuperuserDSN(database), w.house); err != nil {
		return err
	}
	w.did(began, "a shop opened: %s, a transaction every %d ms", tables, pace.Milliseconds())
	began = time.Now()
	err = w.server.CreateCaptureRole(ctx, testservers.CaptureRole{Name: role, Password: password, Database: database})
	if err != nil {
		return err
	}
	w.dsn = fmt.Sprintf("postgres://%s@%s/%s", role, w.server.Addr(), database)
	w.env = append(withoutSettings(w.o.Environ), settings...)
	if !w.o.Terminal {
		w.env = append(w.env, "CDC_FORMAT=table")
	}
	w.did(began, "a role for the capture: it may replicate and read, and nothing else")
	w.say("\nThe commands below are run as they stand, with these in the environment:")
	w.show("export " + strings.Join(settings, " "))
	return nil
}

// withoutSettings is the environment without settings of a database or of this program, which would lead the commands elsewhere.
func withoutSettings(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		return strings.HasPrefix(entry, "PG") || strings.HasPrefix(entry, "MYSQL_") || strings.HasPrefix(entry, "CDC_")
	})
}
