package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/sources"
)

// sourceLog is the log as one source's Ingest sees it: it counts, and gives new sources their numbers one at a time.
type sourceLog struct {
	*disklog.Log
	name    string
	c       *capture
	changes prometheus.Counter
	units   prometheus.Counter
}

// Append implements changelog.Log.
func (l *sourceLog) Append(ctx context.Context, u *changelog.UnitBuilder) (changelog.Offset, error) {
	if u.Meta.Kind == changelog.UnitControl {
		l.c.introduction.Lock()
		defer l.c.introduction.Unlock()
		if l.taken(u.Meta.Source) {
			return 0, fmt.Errorf("source number %d has just been given to another source", u.Meta.Source)
		}
	}
	changes, kind := u.Changes(), u.Meta.Kind
	n, err := l.Log.Append(ctx, u)
	if err == nil && changes > 0 {
		l.changes.Add(float64(changes))
	}
	if err == nil && kind == changelog.UnitTx {
		l.units.Inc()
	}
	return n, err
}

// taken reports whether the number is another source's, which two new sources can draw at the same moment.
func (l *sourceLog) taken(id changelog.SourceID) bool {
	for _, info := range l.Log.Catalog().Sources() {
		if info.ID == id {
			return info.Name != l.name
		}
	}
	return false
}

// keptStop is a line of stops.jsonl: a stop that may not be written into the log.
type keptStop struct {
	Source   string    `json:"source"`
	Kind     string    `json:"kind"`
	Table    string    `json:"table,omitempty"`
	Position string    `json:"position,omitempty"`
	Detail   string    `json:"detail"`
	Remedy   string    `json:"remedy,omitempty"`
	At       time.Time `json:"at"`
}

// keepStop adds a stop to stops.jsonl. It is a record for the operator: whether the source may go on is found out anew on every
// start, as what caused it lies outside the log.
func (c *capture) keepStop(source, kind string, stop *sources.Stop) (err error) {
	c.stopsFile.Lock()
	defer c.stopsFile.Unlock()
	line, err := json.Marshal(keptStop{
		Source: source, Kind: string(stop.Kind), Table: stop.TableName, Position: positionText(kind, stop.Position), Detail: stop.Detail,
		Remedy: stop.Remedy, At: stop.At.Time(),
	})
	if err != nil {
		return fmt.Errorf("keep stop: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(c.app.Data, "stops.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keep stop: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keep stop: %w", err)
	}
	return nil
}
