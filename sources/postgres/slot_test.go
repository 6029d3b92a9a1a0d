package postgres

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"cdc/changelog"
	"cdc/sources"
)

// A slot of our name that another database has now cannot give us our changes, whatever its place.
func TestG2SlotOfAnotherDatabaseIsAGap(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	r.halt()
	r.dropSlot(r.slotName())
	other := r.pg.Database(t)
	if _, err := r.pg.SQL(t.Context(), other, `SELECT pg_create_logical_replication_slot('`+r.slotName()+`', 'pgoutput')`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = r.pg.SQL(r.Context(), other, `SELECT pg_drop_replication_slot('`+r.slotName()+`')`)
	})
	r.err = nil
	r.start()
	r.wantStop(changelog.StopGap, other)
}

// A session that ends between two looks is no stranger that keeps the slot: our own of before may have had it for a while.
func TestSessionThatHasEndedDoesNotFenceUs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.open()
	c, err := r.src.openCatalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	const nobody = 1<<31 - 1 // beyond the numbers of processes
	if who, limit, err := r.src.holder(t.Context(), c, nobody); err != nil || limit != 0 {
		t.Errorf("%s is waited for %s, %v", who, limit, err)
	}
}

// A new epoch may have another slot's name; a slot of that name that somebody else has made is not ours to drop.
func TestG10NewEpochDropsNoSlotOfAStranger(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE t (id int PRIMARY KEY)`)
	r.run()
	r.halt()
	stranger := "stranger_" + r.db
	r.sql(`SELECT pg_create_logical_replication_slot('` + stranger + `', 'pgoutput')`)
	r.decide(changelog.Decision{Action: actionRecopy})
	r.o.Slot, r.err = stranger, nil
	r.wantUnfit("has not made")
	if left := r.sql(`SELECT count(*) FROM pg_replication_slots WHERE slot_name = '` + stranger + `'`); left != "1" {
		t.Fatal("the stranger's slot is gone")
	}
	r.sql(`SELECT pg_drop_replication_slot('` + stranger + `')`)
}

// decide records a decision while nothing runs.
func (r *rig) decide(d changelog.Decision) {
	r.Helper()
	r.open()
	var u changelog.UnitBuilder
	u.Reset(changelog.UnitControl)
	u.Meta.Source, u.Meta.Epoch = 1, 1
	u.AddDecision(d)
	n, err := r.log.Append(r.Context(), &u)
	if err != nil {
		r.Fatal(err)
	}
	if err := r.log.WaitDurable(r.Context(), n); err != nil {
		r.Fatal(err)
	}
	r.halt()
}

// The server says it in its own language.
func TestMissingPublicationIsKnownByItsCode(t *testing.T) {
	r := newRig(t)
	r.open()
	err := fmt.Errorf("read stream: %w", &pgconn.PgError{Code: "42704", Message: "Publikation »cdc« existiert nicht"})
	err = r.src.afterStream(t.Context(), nil, nil, identity{}, err)
	if stop, ok := err.(*sources.Stop); !ok || stop.Kind != changelog.StopSchema {
		t.Fatalf("ended with %v", err)
	}
}
