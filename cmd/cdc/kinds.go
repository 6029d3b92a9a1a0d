package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/sources"
	"cdc/sources/postgres"
)

// postgresOptions are the source's settings as its package takes them.
func postgresOptions(spec config.Source, logID [16]byte, logger *slog.Logger) postgres.Options {
	return postgres.Options{
		DSN: string(spec.DSN), Password: spec.Password, Name: spec.Name, Tables: spec.Tables, AppendOnly: spec.AppendOnly,
		Publication: spec.Publication, Slot: spec.Slot, CopyReaders: spec.CopyReaders, MaxHeldWAL: spec.MaxHeldWAL,
		LogID: logID, Logger: logger,
	}
}

// newSource makes the source of a DSN. It does not connect.
func newSource(spec config.Source, log changelog.Log, logger *slog.Logger) (sources.Source, error) {
	switch kind := spec.DSN.Kind(); kind {
	case config.KindPostgres:
		source, err := postgres.New(postgresOptions(spec, log.ID(), logger))
		if err != nil {
			return nil, err
		}
		for _, warning := range source.Warnings() {
			logger.Warn(warning, "source", spec.Name)
		}
		return source, nil
	default:
		return nil, fmt.Errorf("there is no source for %q", kind)
	}
}

// invalidSource says that the settings of a source do not go together.
func invalidSource(spec config.Source, err error) error {
	return &exit.Error{Code: exit.Usage, What: err.Error(), Where: "source " + spec.Name, Remedy: "'cdc config check' shows every setting with its origin", Err: err}
}

// dropSource removes what a source holds at its server.
func dropSource(ctx context.Context, spec config.Source, log changelog.Log, logger *slog.Logger) error {
	source, err := postgres.New(postgresOptions(spec, log.ID(), logger))
	if err != nil {
		return invalidSource(spec, err)
	}
	ctx, cancel := context.WithTimeout(ctx, dropTimeout)
	defer cancel()
	dropped, err := source.Drop(ctx)
	for tries := 0; inUseAtServer(err) && tries < dropTries; tries++ {
		// The session of the capture that has just been ended may live for a moment longer.
		if err = sources.Pause(ctx, dropPause); err == nil {
			dropped, err = source.Drop(ctx)
		}
	}
	if err != nil {
		return err
	}
	logger.Info("source is dropped", "source", spec.Name, "removed", dropped)
	return nil
}

const (
	// dropTimeout bounds how long a server that does not answer keeps a source from being dropped.
	dropTimeout = 30 * time.Second
	// dropTries is how often a slot in use is tried again, dropPause the time between.
	dropTries = 20
	dropPause = 250 * time.Millisecond
)

func inUseAtServer(err error) bool {
	var unfit *sources.Unfit
	return errors.As(err, &unfit)
}

// positionText is a source's position for people, empty when there is none.
func positionText(p changelog.Position) string {
	if p == "" {
		return ""
	}
	return postgres.PositionText(p)
}
