package main

import (
	"fmt"
	"log/slog"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/materialize"
	"cdc/sinks/envelope"
	"cdc/sources"
	"cdc/sources/mysql"
	"cdc/sources/postgres"
)

// kind is a kind of database: how one is opened and what its positions mean. What else there is to ask of one, sources.Database says.
type kind struct {
	// open makes the source of a DSN, and does not connect. Where info is given, the source goes by the names that the log knows
	// for what it has at its server.
	open func(spec *config.Source, info *changelog.SourceInfo, logID [16]byte, logger *slog.Logger) (sources.Database, error)
	// moment is how a person writes a position.
	moment materialize.MomentKind
	text   func(changelog.Position) string
	// parse, after and reached are materialize.Positions of the kind.
	parse          func(text string) (changelog.Position, error)
	after, reached func(p, unit changelog.Position) bool
	// predicates are what ends the text of a predicate.
	predicates sources.PredicateRules
	// tail says how a database of the kind is followed without a log.
	tail string
	// anyColumn says that a source may leave any unchanged column out of a change.
	anyColumn bool
	// connector is what Debezium calls a source of the kind, place what its messages say of a position.
	connector func(*changelog.SourceInfo) envelope.Connector
	place     func(changelog.Position) (envelope.Place, error)
}

// kindOf is the kind of that name, as DSNs and the log have it.
func kindOf(name string) (kind, bool) {
	switch name {
	case postgres.Kind:
		return kind{
			open: openPostgres, moment: materialize.MomentLSN, text: postgres.PositionText, tail: "through a temporary slot",
			parse: postgres.ParseMoment, after: postgres.After, reached: postgres.Reached, predicates: postgres.Predicates,
			connector: func(*changelog.SourceInfo) envelope.Connector { return envelope.Postgres }, place: placeOfPostgres,
		}, true
	case mysql.Kind:
		return kind{
			open: openMySQL, moment: materialize.MomentGTID, text: mysql.PositionText, tail: "as a replica does", anyColumn: true,
			parse: mysql.ParseMoment, after: mysql.After, reached: mysql.Reached, predicates: mysql.Predicates,
			connector: connectorOfMySQL, place: placeOfMySQL,
		}, true
	}
	return kind{}, false
}

func openPostgres(spec *config.Source, info *changelog.SourceInfo, logID [16]byte, logger *slog.Logger) (sources.Database, error) {
	o := postgres.Options{
		DSN: string(spec.DSN), Password: spec.Password, Name: spec.Name, Tables: spec.Tables, AppendOnly: spec.AppendOnly,
		Publication: spec.Publication, Slot: spec.Slot, CopyReaders: spec.CopyReaders, CopyRowsPerSecond: spec.CopyRowsPerSecond,
		MaxHeldWAL: spec.MaxHeldWAL, LogID: logID, Logger: logger,
	}
	if info != nil {
		o.Slot = info.Find("slot")
		if publication := info.Find("publication"); publication != o.Slot {
			o.Publication = publication
		}
	}
	return postgres.New(o)
}

func openMySQL(spec *config.Source, _ *changelog.SourceInfo, logID [16]byte, logger *slog.Logger) (sources.Database, error) {
	return mysql.New(mysql.Options{
		DSN: string(spec.DSN), Password: spec.Password, Name: spec.Name, Tables: spec.Tables, CopyReaders: spec.CopyReaders,
		CopyRowsPerSecond: spec.CopyRowsPerSecond, ServerID: spec.ServerID, LogID: logID, Logger: logger,
	})
}

func placeOfPostgres(p changelog.Position) (envelope.Place, error) {
	at, err := postgres.ParsePosition(p)
	return envelope.Place{LSN: uint64(at.Commit)}, err
}

func connectorOfMySQL(info *changelog.SourceInfo) envelope.Connector {
	if info.Find("flavour") == "MariaDB" {
		return envelope.MariaDB
	}
	return envelope.MySQL
}

func placeOfMySQL(p changelog.Position) (envelope.Place, error) {
	at, err := mysql.ParsePosition(p)
	if err != nil {
		return envelope.Place{}, err
	}
	return envelope.Place{GTID: at.String(), File: at.File, Offset: at.Offset}, nil
}

// dsnForms are the forms of DSNs, for people.
const dsnForms = "postgres://user@host:port/database or mysql://user@host:port/database"

// supported refuses sources of a kind that this build does not know.
func supported(specs []config.Source) error {
	for i := range specs {
		if _, ok := kindOf(specs[i].DSN.Kind()); !ok {
			return notInBuild("source " + specs[i].Name + ": " + specs[i].DSN.Kind() + "://")
		}
	}
	return nil
}

func notInBuild(what string) error {
	return &exit.Error{Code: exit.Build, What: what + ": not in this build", Remedy: "this version captures PostgreSQL, MySQL and MariaDB into the log; 'cdc run --help' shows what there is"}
}

// openDatabase makes the source of a database and says what there is to know about its options. It does not connect.
func openDatabase(spec config.Source, info *changelog.SourceInfo, logID [16]byte, logger *slog.Logger) (sources.Database, error) {
	k, ok := kindOf(spec.DSN.Kind())
	if !ok {
		return nil, supported([]config.Source{spec})
	}
	source, err := k.open(&spec, info, logID, logger)
	if err != nil {
		return nil, &exit.Error{
			Code: exit.Usage, What: err.Error(), Where: "source " + spec.Name, Remedy: "'cdc config check' shows every setting with its origin", Err: err,
		}
	}
	for _, warning := range source.Warnings() {
		logger.Warn(warning, "source", spec.Name)
	}
	return source, nil
}

// positionText is a position of a source of the kind for people, empty when there is none.
func positionText(kind string, p changelog.Position) string {
	k, ok := kindOf(kind)
	switch {
	case p == "":
		return ""
	case !ok:
		return fmt.Sprintf("%x", string(p))
	}
	return k.text(p)
}

// tailMeans says how a database of the kind is followed without a log.
func tailMeans(name string) string {
	k, _ := kindOf(name)
	return k.tail
}

// unitPositions writes the positions of a log's units for people. The kind of a source never changes.
func unitPositions(log changelog.Log) func(*changelog.UnitMeta) string {
	kinds := map[changelog.SourceID]string{}
	return func(u *changelog.UnitMeta) string {
		if _, known := kinds[u.Source]; !known {
			for _, info := range log.Catalog().Sources() {
				kinds[info.ID] = info.Kind
			}
		}
		return positionText(kinds[u.Source], u.Position)
	}
}

// sourcePositions reads and compares the positions of sources for package materialize, which knows none of them.
type sourcePositions struct{}

var _ materialize.Positions = sourcePositions{}

// Parse implements materialize.Positions.
func (sourcePositions) Parse(kind, text string) (changelog.Position, error) {
	k, ok := kindOf(kind)
	if !ok {
		return "", fmt.Errorf("this build reads no positions of a source of kind %q", kind)
	}
	return k.parse(text)
}

// After implements materialize.Positions.
func (sourcePositions) After(kind string, p, unit changelog.Position) bool {
	k, ok := kindOf(kind)
	return ok && k.after(p, unit)
}

// Reached implements materialize.Positions.
func (sourcePositions) Reached(kind string, p, unit changelog.Position) bool {
	k, ok := kindOf(kind)
	return ok && k.reached(p, unit)
}

// Format implements materialize.Positions.
func (sourcePositions) Format(kind string, p changelog.Position) string {
	return orNone(positionText(kind, p))
}
