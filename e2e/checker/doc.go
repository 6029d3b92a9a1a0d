// Package checker judges what capture made of a workload, from the outside.
//
// Every transaction of the workload writes one [Entry] into a ledger table,
// together with its changes: how many rows it changed, and an order-free hash
// of them. So a [Judge] can tell from the log alone whether a transaction is
// there once, whole and in its place, and with the [Outcome] of each it can
// tell whether one is missing. Tables are compared by a [Digest] of their rows
// as CSV, which the source and the program print alike.
package checker
