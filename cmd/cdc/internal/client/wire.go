package client

import (
	"time"

	"cdc/changelog"
)

// Paths of the control socket. PathStatus is also that of the HTTP listener.
const (
	PathDurable = "/v1/durable"
	PathStatus  = "/status"
	PathTag     = "/v1/tag"
	PathResolve = "/v1/resolve"
	PathDrop    = "/v1/drop"
)

// Error is an answer that says why not. It is also the form of errors on stderr.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Where   string `json:"where,omitempty"`
	Remedy  string `json:"remedy,omitempty"`
}

// Durable says how far the log is durable.
type Durable struct {
	// Next is the first offset that is not durable yet.
	Next changelog.Offset `json:"next"`
}

// TagRequest asks for a tag.
type TagRequest struct {
	Name   string           `json:"name"`
	Offset changelog.Offset `json:"offset"`
}

// ResolveRequest is an operator's decision about a source's stop.
type ResolveRequest struct {
	Source string `json:"source"`
	// Action is "recopy", "accept-gap" or "reread".
	Action string `json:"action"`
	// Table limits it to one table, by its full name or a shorter one that is unique.
	Table string `json:"table,omitempty"`
	// Where is the predicate of rows to be read again, in the source's SQL.
	Where string `json:"where,omitempty"`
}

// DropRequest ends a source.
type DropRequest struct {
	Source string `json:"source"`
	// Force forgets the source although its server cannot be reached; what it holds there stays.
	Force bool `json:"force,omitempty"`
}

// Status is what a folder holds and what its server, when there is one, is doing.
type Status struct {
	// Running is false when nobody captures: then only what the log says is known.
	Running bool      `json:"running"`
	Version string    `json:"version,omitempty"`
	PID     int       `json:"pid,omitempty"`
	Started time.Time `json:"started,omitzero"`
	HTTP    string    `json:"http,omitempty"`
	Data    string    `json:"data"`
	LogID   string    `json:"log_id"`
	// First is the first offset kept, Durable the last durable one.
	First   changelog.Offset `json:"first_offset"`
	Durable changelog.Offset `json:"durable_offset"`
	// LogBytes is the size of the log's files, FreeBytes what is free on their disk.
	LogBytes  int64    `json:"log_bytes"`
	FreeBytes int64    `json:"free_bytes"`
	Full      bool     `json:"disk_full"`
	Tags      int      `json:"tags"`
	Sources   []Source `json:"sources"`
	Sinks     []Sink   `json:"sinks,omitempty"`
}

// Sink is the status of one sink of a run.
type Sink struct {
	Name  string    `json:"name"`
	Kind  string    `json:"kind"` // kafka or file
	URL   string    `json:"url"`
	Phase string    `json:"phase"`
	Since time.Time `json:"since,omitzero"`
	// Offset is up to where everything has arrived, LagOffsets how many durable offsets are still to come.
	Offset     changelog.Offset `json:"offset"`
	LagOffsets changelog.Offset `json:"lag_offsets"`
	// Messages, Bytes and Retries count since the start of the run; Waiting is how many bytes are on their way.
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
	Waiting  int64  `json:"waiting_bytes"`
	Retries  uint64 `json:"retries"`
	// Stop is the kind of the named stop that the sink has come to.
	Stop  string `json:"stop,omitempty"`
	Error string `json:"error,omitempty"`
}

// Source is the status of one source.
type Source struct {
	Name  string          `json:"name"`
	Kind  string          `json:"kind"`
	DSN   string          `json:"dsn,omitempty"`
	Phase string          `json:"phase"`
	Since time.Time       `json:"since,omitzero"`
	Epoch changelog.Epoch `json:"epoch"`
	// Position and Clock are those of the last unit in the log, Offset its instant.
	Position string           `json:"position,omitempty"`
	Offset   changelog.Offset `json:"offset"`
	Clock    time.Time        `json:"clock,omitzero"`
	Received string           `json:"received,omitempty"`
	// LagSeconds is how far the log is behind what the source has said of itself, by the source's clock; LagBytes and HeldBytes
	// are -1 when not known, LagSeconds too.
	LagSeconds float64 `json:"lag_seconds"`
	LagBytes   int64   `json:"lag_bytes"`
	HeldBytes  int64   `json:"held_bytes"`
	Tables     int     `json:"tables"`
	// Copying are tables of which the log holds a part, as their copy in chunks is not complete.
	Copying   []string `json:"copying,omitempty"`
	Untracked []string `json:"untracked,omitempty"`
	// Rereads are those that are not over, and those that could not be completed until something else is decided about their table.
	Rereads []Reread `json:"rereads,omitempty"`
	Stops   []Stop   `json:"stops,omitempty"`
	Error   string   `json:"error,omitempty"`
	Copy    *Copy    `json:"copy,omitempty"`
}

// Stop is a named stop that nobody has decided about.
type Stop struct {
	Kind   string    `json:"kind"`
	Table  string    `json:"table,omitempty"`
	Detail string    `json:"detail"`
	Remedy string    `json:"remedy,omitempty"`
	At     time.Time `json:"at,omitzero"`
	// Offset is where the log records it, zero for a stop that could not be recorded in the log.
	Offset changelog.Offset `json:"offset,omitempty"`
}

// Reread is a part of a table that was to be read again.
type Reread struct {
	Table string `json:"table"`
	Where string `json:"where"`
	// State is "waiting", "under way" or "ended".
	State string `json:"state"`
	// Detail is why it ended.
	Detail string `json:"detail,omitempty"`
	// Offset is that of the request.
	Offset changelog.Offset `json:"offset"`
}

// Copy is how far a copy of tables is. Estimates come from the source's statistics.
type Copy struct {
	Tables        int    `json:"tables"`
	TablesDone    int    `json:"tables_done"`
	Rows          int64  `json:"rows"`
	RowsEstimated int64  `json:"rows_estimated"`
	Bytes         int64  `json:"bytes"`
	Table         string `json:"table,omitempty"`
	// RowsPerSecond is the rate of the last while, 0 when not known; SecondsLeft is how long the rest takes at it, -1 when not known.
	RowsPerSecond float64 `json:"rows_per_second"`
	SecondsLeft   float64 `json:"seconds_left"`
}
