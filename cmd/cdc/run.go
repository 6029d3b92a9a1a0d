package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/changelog/vfs"
	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/server"
)

// runCmd captures databases into the log. Flags that are settings are read by package config, which knows where each came from.
type runCmd struct {
	DSN  []string `arg:"" optional:"" sep:"none" help:"Databases to capture: postgres://user@host:port/database or mysql://user@host:port/database. Without any, the folder's own sources go on."`
	File string   `name:"config" short:"c" env:"CDC_CONFIG" placeholder:"FILE" help:"Configuration file; its sources are added to the DSNs."`
	Name []string `sep:"none" placeholder:"NAME" help:"Name of a source, once for each DSN and in their order; by default its database's name."`
	Sink []string `sep:"none" placeholder:"URL" help:"Where changes are published as well: kafka://host:port or file:DIR."`

	UntilCurrent bool `help:"Exit 0 once everything committed at the sources when this started is durable."`

	Tables            []string `sep:"none" env:"CDC_TABLES" placeholder:"PATTERN" help:"Tables to capture: [source.]schema.table with * and ?, a leading ! excludes; repeat the flag for more. By default all that the role may read."`
	AppendOnly        []string `sep:"none" env:"CDC_APPEND_ONLY" placeholder:"PATTERN" help:"Tables without an identity of which only inserts and truncates are captured."`
	Publication       string   `env:"CDC_PUBLICATION" placeholder:"NAME" help:"Publication to use as it is, instead of one of our own."`
	Slot              string   `env:"CDC_SLOT" placeholder:"NAME" help:"Name of the replication slot, instead of cdc_<source>_<log id>."`
	CopyReaders       string   `env:"CDC_COPY_READERS" placeholder:"N" help:"Connections that copy tables side by side at first (2)."`
	CopyRowsPerSecond string   `env:"CDC_COPY_ROWS_PER_SECOND" placeholder:"N" help:"Rows a second that copies in chunks read at most (no limit)."`
	ServerID          string   `name:"server-id" env:"CDC_SERVER_ID" placeholder:"N" help:"Number under which cdc reads a MySQL server's binlog; by default one is chosen."`
	MaxHeldWAL        string   `name:"max-held-wal" env:"CDC_MAX_HELD_WAL" placeholder:"SIZE" help:"Held-back WAL above which cdc drops its own slot and stops with GAP; by default never."`
	MaxClockSkew      string   `env:"CDC_MAX_CLOCK_SKEW" placeholder:"TIME" help:"How far a commit's time may be ahead of the source's clock and be believed (60s)."`
	HTTP              string   `name:"http" env:"CDC_HTTP" placeholder:"ADDRESS" help:"Address of /metrics, /healthz, /readyz and /status, or off (127.0.0.1:7070)."`
	MinFreeDisk       string   `env:"CDC_MIN_FREE_DISK" placeholder:"SIZE" help:"Free disk space below which cdc does not start (512MiB)."`
	SegmentSize       string   `env:"CDC_SEGMENT_SIZE" placeholder:"SIZE" help:"Size of the log's files (128MiB)."`
	ReadyLag          string   `env:"CDC_READY_LAG" placeholder:"TIME" help:"Lag above which /readyz says no (60s)."`
}

// Help describes the verb with examples.
func (runCmd) Help() string {
	return `Copies the tables once, then follows every transaction, until it is stopped: SIGTERM ends it with exit code 0, Ctrl-C with 130. It goes on where it was when it is started again, with or without its DSNs.

Examples:

	cdc run postgres://cdc@db.example/shop
	cdc run postgres://cdc@db.example/shop --tables 'public.*' --tables '!public.audit_*'
	cdc run postgres:///shop postgres:///billing --name shop --name bills
	cdc run postgres://cdc@db.example/shop mysql://cdc@db2.example/billing
	cdc run -c cdc.yaml --data /var/lib/cdc
	cdc run
	cdc run --until-current`
}

// Run is the main path of the program: it opens the folder and brings every source into its log.
func (r *runCmd) Run(ctx context.Context, app *App) error {
	cfg, err := r.load(app)
	if err != nil {
		return err
	}
	app.Logger = app.newLogger(cfg.LogLevel, cfg.LogFormat, slog.LevelInfo)
	for _, warning := range cfg.Warnings {
		app.Logger.Warn(warning)
	}
	if err := prepareFolder(app.Data, cfg.MinFreeDisk); err != nil {
		return err
	}
	log, err := app.LockLog(disklog.Options{SegmentBytes: cfg.SegmentSize})
	if err != nil {
		return err
	}
	c, err := newCapture(app, cfg, log)
	if err == nil {
		err = r.capture(ctx, app, cfg, c)
	}
	return errors.Join(err, log.Close())
}

// capture captures and serves until the context is done or there is nothing left to capture.
func (r *runCmd) capture(ctx context.Context, app *App, cfg *config.Config, c *capture) error {
	socket, err := server.ListenSocket(app.Data)
	if err != nil {
		return err
	}
	public, err := listenHTTP(ctx, app.Logger, cfg)
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	s := server.New(server.Options{Run: c, Metrics: c.metrics, ReadyLag: cfg.ReadyLag, Logger: app.Logger})
	ctx, cancel := context.WithCancelCause(ctx)
	group, serving := errgroup.WithContext(ctx)
	group.Go(func() error { return s.ServeSocket(serving, socket, app.Data) })
	if public != nil {
		c.http = public.Addr().String()
		group.Go(func() error { return s.ServeHTTP(serving, public) })
	}
	group.Go(func() error {
		err := c.run(serving, r.UntilCurrent)
		cancel(err)
		return err
	})
	err = group.Wait()
	if errors.Is(err, errTerminated) {
		return nil
	}
	return err
}

// load reads the configuration and refuses what this build has not.
func (r *runCmd) load(app *App) (*config.Config, error) {
	known, err := config.ReadKnown(app.Data)
	if err != nil {
		return nil, &exit.Error{Code: exit.Log, What: err.Error(), Remedy: "give the sources' DSNs again after removing the file", Err: err}
	}
	cfg, err := config.Load(config.Request{
		DSNs: r.DSN, Names: r.Name, Sinks: r.Sink, Flags: app.Given, File: r.File, Known: known, LookupEnv: app.LookupEnv, Environ: app.Environ(),
	})
	if err != nil {
		return nil, err
	}
	if len(cfg.Sources) == 0 && lockOwner(filepath.Join(app.Data, "lock")) != "" {
		return nil, app.inUse(changelog.ErrInUse) // whose first source the folder does not know yet
	}
	if len(cfg.Sources) == 0 {
		return nil, &exit.Error{
			Code: exit.Usage, What: "there is nothing to capture", Where: app.Data,
			Remedy: "give a DSN: 'cdc run postgres://user@host/database' or mysql://…, or a file with -c; 'cdc demo' needs neither",
		}
	}
	return cfg, supported(cfg.Sources)
}

// prepareFolder makes the folder and makes sure that there is space to start.
func prepareFolder(dir string, least int64) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return &exit.Error{Code: exit.Log, What: fmt.Sprintf("the folder cannot be made: %v", err), Where: dir, Remedy: "name another with --data", Err: err}
	}
	free, err := vfs.OS{}.Free(dir)
	if err != nil {
		return fmt.Errorf("measure free space: %w", err)
	}
	if free >= least {
		return nil
	}
	return &exit.Error{
		Code: exit.Disk, What: fmt.Sprintf("%s are free and %s are wanted to start", sizeText(free), sizeText(least)), Where: dir,
		Remedy: "free some space, name a folder on another disk with --data, or start with less by --min-free-disk",
	}
}

// listenHTTP listens on the HTTP address, or on none. A default address that is taken by another is no reason not to capture.
func listenHTTP(ctx context.Context, logger *slog.Logger, cfg *config.Config) (net.Listener, error) {
	if cfg.HTTP == "" {
		return nil, nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", cfg.HTTP)
	switch {
	case err == nil:
	case errors.Is(err, syscall.EADDRINUSE) && !cfg.HTTPGiven:
		logger.Warn("the default http address is taken, going on without", "address", cfg.HTTP, "remedy", "choose one with --http, or --http off")
		return nil, nil
	default:
		return nil, &exit.Error{Code: exit.Usage, What: err.Error(), Remedy: "choose another address with --http, or --http off", Err: err}
	}
	if host, _, err := net.SplitHostPort(listener.Addr().String()); err == nil && !net.ParseIP(host).IsLoopback() {
		logger.Warn("metrics and status can be read by every host that reaches the address", "address", listener.Addr().String())
	}
	return listener, nil
}

// newMetrics makes a registry with what Go and the process say of themselves.
func newMetrics() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// sizeText is a number of bytes for people.
func sizeText(n int64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), -1
	for value >= 1<<10 && unit < len(units)-1 {
		value, unit = value/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, units[unit])
}

// durationText is a duration for people, with as much detail as matters.
func durationText(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
