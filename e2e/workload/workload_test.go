//go:build e2e

package workload

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdc/e2e/checker"
	"cdc/e2e/testservers"
)

// Goal: what the clients remember is true. Method: run them for a while and ask
// the database, which must hold every committed transaction and no other.
func TestWorkloadRemembersWhatItDid(t *testing.T) {
	t.Parallel()
	p := testservers.Shared(t)
	database := p.Database(t)
	remembers(t, p.SuperuserDSN(database), func(sql string) (string, error) { return p.SQL(t.Context(), database, sql) })
}

func TestWorkloadRemembersWhatItDidToMySQL(t *testing.T) {
	for _, flavour := range testservers.Flavours {
		t.Run(string(flavour), func(t *testing.T) {
			t.Parallel()
			m := testservers.SharedMySQL(t, flavour)
			database := m.Database(t)
			remembers(t, m.SuperuserDSN(database), func(sql string) (string, error) { return m.SQL(t.Context(), database, sql) })
		})
	}
}

func remembers(t *testing.T, dsn string, sql func(string) (string, error)) {
	t.Helper()
	if err := Setup(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	w := New(Options{DSN: dsn, Seed: 1, DDLEvery: 200 * time.Millisecond})
	const enough = 100
	for range 30 { // a busy machine does less in a while
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		err := w.Run(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if w.Count(checker.Committed) >= enough {
			break
		}
	}
	if err := w.Bulk(t.Context(), 1000); err != nil {
		t.Fatal(err)
	}
	query := func(text string) string {
		t.Helper()
		out, err := sql(text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if total := query(`SELECT sum(v) FROM acct`); total != strconv.Itoa(BankTotal) {
		t.Errorf("the bank holds %s", total)
	}
	if rows := query(`SELECT count(*) FROM bulk`); rows != "1000" {
		t.Errorf("%s bulk rows", rows)
	}
	var committed []string
	for _, o := range w.Outcomes() {
		if o.Result == checker.Committed {
			committed = append(committed, strconv.FormatInt(o.ID, 10))
		}
		if o.Result == checker.Unknown {
			t.Errorf("transaction %d: unknown without a fault", o.ID)
		}
	}
	slices.Sort(committed)
	source := strings.Split(query(`SELECT id FROM w_tx`), "\n")
	slices.Sort(source)
	if !slices.Equal(source, committed) {
		t.Errorf("the ledger holds %d transactions, the clients committed %d", len(source), len(committed))
	}
	if len(committed) < enough {
		t.Errorf("only %d transactions", len(committed))
	}
	t.Logf("%d committed, %d rolled back", len(committed), w.Count(checker.Failed))
}
