package mysql

import (
	"context"
	"log/slog"
	"testing"

	"cdc/e2e/testservers"
)

// bothFlavours runs a test against the shared server of each flavour.
func bothFlavours(t *testing.T, test func(t *testing.T, m *testservers.MySQL)) {
	for _, f := range []testservers.Flavour{testservers.FlavourMySQL, testservers.FlavourMariaDB} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			test(t, testservers.SharedMySQL(t, f))
		})
	}
}

// sourceAt makes a source that nothing is captured with.
func sourceAt(t testing.TB, dsn string) *Source {
	t.Helper()
	o := Options{DSN: dsn, Name: "shop", Logger: slog.New(slog.DiscardHandler)}.withDefaults()
	d, err := parseDSN(o)
	if err != nil {
		t.Fatal(err)
	}
	return &Source{o: o, dsn: d, log: o.Logger}
}

// sessionAt logs in until the end of the test.
func sessionAt(t testing.TB, dsn string) *session {
	t.Helper()
	c, err := sourceAt(t, dsn).connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}
