package main

import (
	"context"

	"cdc/materialize"
	"cdc/materialize/sql"
)

// withSQL says that this build answers SQL.
const withSQL = sql.Built

// sqlWorkerCmd answers another cdc's SQL, so that a crash of the SQL engine is not that process's. It reads questions from its
// standard input and writes answers to its standard output.
type sqlWorkerCmd struct {
	Memory  int64  `default:"1073741824" help:"Bytes of memory that the engine may take."`
	Threads int    `default:"2" help:"Threads of the engine."`
	Temp    string `help:"Folder for what does not fit in memory."`
}

// Run works until its standard input ends.
func (w *sqlWorkerCmd) Run(ctx context.Context, app *App) error {
	return sql.RunWorker(ctx, app.Stdin, app.Stdout, sql.WorkerOptions{
		Dir: app.Data, Logger: app.Logger,
		Session: sql.SessionOptions{
			MemoryBytes: w.Memory, Threads: w.Threads, TempDir: w.Temp, Resolve: materialize.ResolveOptions{Positions: sourcePositions{}},
		},
	})
}
