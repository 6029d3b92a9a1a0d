package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"cdc/cmd/cdc/internal/demo"
	"cdc/cmd/cdc/internal/exit"
	"cdc/cmd/cdc/internal/present"
)

// demoCmd shows everything on private, busy databases.
type demoCmd struct {
	Kafka bool `help:"Feed topics of a private Kafka, and show them beside the log."`
}

// Help describes the verb.
func (demoCmd) Help() string {
	return `Starts a private PostgreSQL server with a small busy shop, and a private MySQL or MariaDB, where one is installed, with its warehouse and payments. Captures both into one log with this program, and walks through what can be asked: live changes, a table at two moments, the difference, one row's life, one transaction, a moment by LSN and one by GTID, a join of both databases at one moment, a comparison with the databases, a crash and the resume. At the end a SQL prompt opens on a terminal. Everything lives in a temporary folder and is removed afterwards.

With --kafka it starts a private Kafka broker as well, where its jars and Java are installed, publishes every table to a topic, shows the topic beside the log, kills the broker and the capture, and compares the topic with the table.

Examples:

	cdc demo
	cdc demo --kafka`
}

// Run shows the demo; its exit code is 0 only when every step worked.
func (d demoCmd) Run(ctx context.Context, a *App) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	err = demo.Run(ctx, demo.Options{
		Exe: exe, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Terminal: a.Terminal && isTerminal(os.Stdin),
		Style: present.Style{Color: a.Color}, Kafka: d.Kafka, SQL: withSQL, Environ: a.Environ(),
	})
	if errors.Is(err, demo.ErrNoServer) {
		return &exit.Error{Code: exit.Unreachable, What: err.Error(), Remedy: "run 'make setup', or point CDC_PG_BIN at the folder of PostgreSQL's programs", Err: err}
	}
	return err
}
