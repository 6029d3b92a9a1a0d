//go:build e2e

// Package workload keeps a database busy with transactions of every kind that
// can be judged afterwards: each writes its [checker.Entry] into a ledger, and
// its client remembers the [checker.Outcome].
package workload
