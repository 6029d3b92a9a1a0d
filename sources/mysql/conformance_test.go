package mysql

import (
	"context"
	"log/slog"
	"testing"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sources"
	"cdc/sources/sourcetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, f := range testservers.Flavours {
		t.Run(string(f), func(t *testing.T) {
			sourcetest.Run(t, sourcetest.Options{
				AnyColumn: true, TracksNewTables: true,
				Open: func(t *testing.T, isAlone bool) sourcetest.Driver {
					if isAlone {
						return driver{newRig(t, aloneMySQL(t, f)), t}
					}
					return driver{newRig(t, testservers.SharedMySQL(t, f)), t}
				},
			})
		})
	}
}

// driver is a rig of which only the database is used.
type driver struct {
	*rig
	t *testing.T
}

func (d driver) Session() sourcetest.Session { return d.session() }

func (d driver) Source(log changelog.Log, logger *slog.Logger) (sources.Source, error) {
	return d.newSource(log, logger)
}

func (d driver) Link() sourcetest.Link { return link{d.proxy} }

func (d driver) Rows(table string) []string { return d.rows(table) }

// Foreign implements sourcetest.Driver, with a server that nobody else uses.
func (d driver) Foreign() {
	other := aloneMySQL(d.t, d.m.Flavour())
	run := func(statements string) {
		if _, err := other.SQL(context.Background(), "", statements); err != nil {
			d.t.Fatal(err)
		}
	}
	run("CREATE DATABASE " + d.db)
	err := other.CreateCaptureRole(context.Background(), testservers.MySQLCaptureRole{Name: d.user, Password: d.m.Password(d.user), Databases: []string{d.db}})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { run("DROP USER " + d.user + "; DROP DATABASE " + d.db) })
	d.proxy.Retarget(other.Addr())
}

// Forget implements sourcetest.Driver: the files of the binlog expire.
func (d driver) Forget() {
	if err := d.m.PurgeBinlog(context.Background()); err != nil {
		d.t.Fatal(err)
	}
}

// link is a proxy.
type link struct{ *testservers.Proxy }

func (l link) Cut() { l.Proxy.Cut(testservers.CutReset) }

func (l link) CutAfter(bytes func() int64) {
	l.SetPlan(func(int64) testservers.Plan {
		if bytes == nil {
			return testservers.Plan{}
		}
		return testservers.Plan{ToClient: testservers.Stream{Cut: testservers.Cut{Kind: testservers.CutReset, After: bytes()}}}
	})
}
