package testservers

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// dropLimit bounds the removal of a test's database.
const dropLimit = 60 * time.Second

// logLinesShown is how much of a server's log goes with a test that failed.
const logLinesShown = 20

// TB is the part of testing.TB that the helpers of tests need.
type TB interface {
	Helper()
	Name() string
	Cleanup(f func())
	Context() context.Context
	Failed() bool
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// RequireServer ends the test when a server could not be started: it skips
// where binaries are missing and CDC_TEST_REQUIRE is not 1, and fails otherwise.
func RequireServer(tb TB, err error) {
	tb.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrNoServer) && os.Getenv("CDC_TEST_REQUIRE") != "1":
		tb.Skipf("%v", err)
	default:
		tb.Fatalf("start test server: %v", err)
	}
}

// required is a server that a test cannot do without.
func required[S any](tb TB, server S, err error) S {
	tb.Helper()
	RequireServer(tb, err)
	return server
}

// started is a server of the test's own, stopped at its end.
func started[S interface{ StopAfter(tb TB) }](tb TB, server S, err error) S {
	tb.Helper()
	RequireServer(tb, err)
	server.StopAfter(tb)
	return server
}

// externalServer reads the URL of a superuser, which a variable of the
// environment holds, and the port in it.
func externalServer(variable, dsn, scheme, defaultPort string) (*url.URL, int, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.User == nil || u.Hostname() == "" {
		return nil, 0, fmt.Errorf("parse %s: want %s://user:password@host:port/", variable, scheme)
	}
	port, err := strconv.Atoi(cmp.Or(u.Port(), defaultPort))
	if err != nil {
		return nil, 0, fmt.Errorf("parse port of %s: %w", variable, err)
	}
	return u, port, nil
}

// uniqueName is a name that no other test has.
func uniqueName() string { return "test_" + strings.ToLower(rand.Text()[:10]) }

// dropAfter runs drop at the end of the test.
func dropAfter(tb TB, what string, drop func(context.Context) error) {
	tb.Cleanup(func() {
		// The context of the test is over by now.
		ctx, cancel := context.WithTimeout(context.Background(), dropLimit)
		defer cancel()
		if err := drop(ctx); err != nil {
			tb.Logf("drop %s: %v", what, err)
		}
	})
}

// persist repeats f until it succeeds, or ctx ends: then it says why f did not.
func persist(ctx context.Context, f func() error) error {
	var last error
	err := poll(ctx, func() (bool, error) {
		last = f()
		return last == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}
