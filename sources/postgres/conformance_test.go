package postgres

import (
	"log/slog"
	"strings"
	"testing"

	"cdc/changelog"
	"cdc/e2e/testservers"
	"cdc/sources"
	"cdc/sources/sourcetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, sourcetest.Options{
		Acks: true, Keyless: []string{"ALTER TABLE keyless REPLICA IDENTITY FULL"},
		Open: func(t *testing.T, _ bool) sourcetest.Driver {
			d := &driver{rig: newRig(t), t: t}
			var err error
			if d.proxy, err = testservers.StartProxy(d.pg.Addr()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = d.proxy.Close() })
			d.o.DSN = strings.Replace(d.dsn, d.pg.Addr(), d.proxy.Addr(), 1)
			return d
		},
	})
}

// driver is a rig of which only the database is used.
type driver struct {
	*rig
	t     *testing.T
	proxy *testservers.Proxy
	slot  string
}

func (d *driver) Session() sourcetest.Session { return driverSession{d.session()} }

type driverSession struct{ *testSession }

// Do implements sourcetest.Session.
func (s driverSession) Do(statements ...string) { s.do(statements...) }

func (d *driver) Source(log changelog.Log, logger *slog.Logger) (sources.Source, error) {
	o := d.o
	o.LogID, o.Logger = log.ID(), logger
	s, err := New(o)
	if err == nil {
		d.slot = s.slot()
	}
	return s, err
}

func (d *driver) Link() sourcetest.Link { return link{d.proxy} }

func (d *driver) Rows(table string) []string { return d.sourceTable(table) }

// Foreign implements sourcetest.Driver: another database has another history.
func (d *driver) Foreign() {
	other := d.pg.Database(d.t)
	d.o.DSN = strings.Replace(d.pg.SuperuserDSN(other), d.pg.Addr(), d.proxy.Addr(), 1)
}

// Forget implements sourcetest.Driver: a slot is lost, and its WAL with it.
func (d *driver) Forget() {
	d.dropSlot(d.slot)
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
